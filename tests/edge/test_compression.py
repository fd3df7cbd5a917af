import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import edge.compression
import edge.gaps
from edge.compression import Compressor
from edge.gaps import from_gaps, to_gaps
from edge.wire import MessageError

deltas = arrays(np.float32, 40, elements=st.floats(-100, 100, width=32))
shares = st.floats(0.01, 1.0)


@given(st.lists(deltas, min_size=1, max_size=6), shares, st.sampled_from([8, 32]))
def test_what_is_left_out_is_sent_later(rounds, share, bits):
    compressor, arrived = Compressor(), np.zeros(40)
    for delta in rounds:
        found = compressor.compress(delta, share, bits)
        sent = found.values.size if found.codes is None else found.codes.size
        assert sent == (40 if share >= 1 else int(np.ceil(share * 40)))
        arrived += found.dense(40)
    arrived += compressor.compress(np.zeros(40, np.float32), 1.0).dense(40)
    np.testing.assert_allclose(arrived, np.sum(rounds, axis=0, dtype=np.float64), atol=1e-3)


@given(deltas)
def test_a_code_is_off_by_half_a_step_at_most(delta):
    found = Compressor().compress(delta, 1.0, 8)
    assert found.codes is not None and found.codes.dtype == np.int8
    assert np.abs(found.dense(40) - delta).max() <= 0.5001 * found.scale + 1e-30


def test_nothing_to_send_is_sent_as_zeros():
    found = Compressor().compress(np.zeros(3, np.float32), 0.5, 8)
    assert found.scale == 0 and found.dense(3).tolist() == [0, 0, 0]
    tiny = Compressor().compress(np.full(3, 1e-45, np.float32), 1.0, 8)
    assert np.isfinite(tiny.dense(3)).all()


@given(st.sets(st.integers(0, 2**32 - 1), max_size=60))
def test_indices_come_back_from_their_gaps(chosen):
    indices = np.array(sorted(chosen), np.uint32)
    assert from_gaps(to_gaps(indices)).tolist() == indices.tolist()


@given(st.binary(max_size=40))
def test_any_bytes_are_gaps_written_one_way_or_refused(data):
    try:
        indices = from_gaps(data)
    except MessageError:
        return
    assert (np.diff(indices.astype(np.int64)) > 0).all()
    assert to_gaps(indices) == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x80", "end within"),
        (b"\x80\x80\x80\x80\x80\x00", "longer than five"),
        (b"\x80\x00", "longer than needed"),
        (b"\xff\xff\xff\xff\x0f\x00", "beyond"),
        (b"\xff\xff\xff\xff\x7f", "beyond"),
    ],
)
def test_gaps_that_are_wrong_are_refused_by_name(data, said):
    with pytest.raises(MessageError, match=said):
        from_gaps(data)


def test_doctests():
    assert doctest.testmod(edge.gaps).attempted and doctest.testmod(edge.gaps).failed == 0
    assert doctest.testmod(edge.compression).failed == 0
