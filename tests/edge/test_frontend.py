"""The log-mel front end: two implementations, one arithmetic, and how far it is from reals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.errors import UsageError
from edge.frontend import LogMel, NativeLogMel, front_end, tables
from edge.frontend.native import _library

SMALL = tables(8000, 64, 20, 8)
SPEECH = tables(8000, 256, 80, 24)
needs_c = pytest.mark.skipif(_library() is None, reason="no C compiler")
clips = arrays(np.int16, st.integers(0, 400), elements=st.integers(-(2**15), 2**15 - 1))


def chirp(seconds=0.5, rate=8000, loudness=8000.0):
    t = np.arange(int(rate * seconds)) / rate
    return np.rint(loudness * np.sin(2 * np.pi * (200 * t + 1500 * t**2))).astype(np.int16)


def in_reals(audio, t):
    """The same features in float64, by the textbook."""
    count = 1 + max(len(audio) - t.frame, 0) // t.hop
    index = np.arange(count)[:, None] * t.hop + np.arange(t.frame)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(t.frame) / (t.frame - 1))
    power = np.abs(np.fft.rfft(audio[index] * window)) ** 2
    return np.log2(power @ (t.weights / 4096).T / 2**4 + 64)


@needs_c
@settings(max_examples=60, deadline=None)
@given(clips, st.integers(1, 40))
def test_c_and_numpy_give_the_same_bits(audio, wanted):
    one, two = LogMel(SMALL), NativeLogMel(SMALL)
    for left, right in zip(one.bands(audio), two.bands(audio), strict=True):
        assert left.tobytes() == right.tobytes()
    assert one.stretched(audio, wanted).tobytes() == two.stretched(audio, wanted).tobytes()
    assert one.centred(audio, wanted).tobytes() == two.centred(audio, wanted).tobytes()


@needs_c
@pytest.mark.parametrize("frame", [8, 128, 512])
@pytest.mark.parametrize("level", [-(2**15), 2**15 - 1])
def test_the_loudest_input_does_not_overflow(frame, level):
    table = tables(16000, frame, frame // 2, 4)
    square = np.where(np.arange(frame * 4) // 8 % 2, level, -1 - level).astype(np.int16)
    for audio in (np.full(frame * 4, level, np.int16), square):
        found = LogMel(table).bands(audio)[0]
        assert found.tobytes() == NativeLogMel(table).bands(audio)[0].tobytes()
        exact = in_reals(audio, table)
        assert np.abs(found / 256 - exact)[exact > 10].max(initial=0) < 0.05


@pytest.mark.parametrize("loudness", [30.0, 1000.0, 30000.0])
def test_whole_numbers_are_close_to_reals(loudness):
    audio = chirp(loudness=loudness)
    exact = in_reals(audio, SPEECH)
    off = np.abs(LogMel(SPEECH).bands(audio)[0] / 256 - exact)
    assert off[exact > 10].max() < 0.2 and off.max() < 0.5 and off.mean() < 0.05
    assert off[exact > 16].max() < 0.02


def test_loudness_does_not_count_and_silence_is_nothing():
    front = front_end(SPEECH)
    noise = np.random.default_rng(0).normal(size=4000)
    quiet, loud = (front.stretched((noise * v).astype(np.int16), 32) for v in (1000, 8000))
    assert np.abs(quiet - loud).max() < 0.02 < np.abs(loud).max()
    assert not front.stretched(np.zeros(4000, np.int16), 32).any()


def test_centring_finds_the_sound():
    front, audio = front_end(SPEECH), np.zeros(8000, np.int16)
    early, late = audio.copy(), audio.copy()
    early[800:1600] = late[4800:5600] = chirp(0.1)
    assert np.array_equal(front.centred(early, 24), front.centred(late, 24))


@pytest.mark.parametrize("sizes", [(100, 10, 4), (1024, 10, 4), (4, 2, 2), (64, 0, 4), (64, 8, 0)])
def test_sizes_that_no_front_end_has_are_refused(sizes):
    with pytest.raises(UsageError):
        tables(8000, *sizes)
