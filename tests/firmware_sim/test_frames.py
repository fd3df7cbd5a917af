import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.frames import MAX_PAYLOAD, FrameDecoder, cobs_decode, cobs_encode, encode_frame

payloads = st.binary(max_size=MAX_PAYLOAD)
zeros_and_runs = st.lists(st.sampled_from([b"\0", b"\1", b"x" * 253, b"y" * 254])).map(b"".join)


@given(st.one_of(st.binary(max_size=1200), zeros_and_runs))
def test_cobs_round_trip_without_zeros(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert cobs_decode(encoded) == data
    assert len(encoded) <= len(data) + len(data) // 254 + 1


@given(st.lists(payloads, max_size=5), st.integers(1, 50))
def test_frames_survive_any_chunking(frames: list[bytes], step: int) -> None:
    stream = b"".join(encode_frame(frame) for frame in frames)
    decoder = FrameDecoder()
    found = [f for at in range(0, len(stream), step) for f in decoder.push(stream[at : at + step])]
    assert found == frames
    assert decoder.dropped == 0


@given(st.binary(min_size=1, max_size=100), st.data())
def test_one_changed_byte_drops_the_frame_and_spares_the_next(
    p: bytes, data: st.DataObject
) -> None:
    frame = bytearray(encode_frame(p))
    at = data.draw(st.integers(0, len(frame) - 2))
    frame[at] ^= data.draw(st.integers(1, 255))
    decoder = FrameDecoder()
    found = list(decoder.push(bytes(frame) + b"\0" + encode_frame(b"next")))
    assert found[-1] == b"next"
    assert p not in found[:-1]
    assert decoder.dropped >= 1


def test_an_endless_frame_takes_no_memory() -> None:
    decoder = FrameDecoder()
    for _ in range(1000):
        assert list(decoder.push(b"\x55" * 1000)) == []
    assert len(decoder._pending) < 2 * MAX_PAYLOAD
    assert list(decoder.push(b"\0" + encode_frame(b"next"))) == [b"next"]
    assert decoder.dropped == 1


def c_receive(codec: ctypes.CDLL, stream: bytes) -> tuple[list[bytes], int]:
    out = ctypes.create_string_buffer(len(stream) + 1)
    lengths = (ctypes.c_uint32 * (len(stream) + 1))()
    dropped = ctypes.c_uint32()
    count = codec.h_receive(stream, len(stream), out, lengths, ctypes.byref(dropped))
    frames, at = [], 0
    for length in lengths[:count]:
        frames.append(out.raw[at : at + length])
        at += length
    return frames, dropped.value


@given(payload=st.one_of(payloads, zeros_and_runs.map(lambda d: d[:MAX_PAYLOAD])))
def test_the_board_sends_the_same_bytes(codec: ctypes.CDLL, payload: bytes) -> None:
    out = ctypes.create_string_buffer(2 * MAX_PAYLOAD)
    size = codec.h_send(payload, len(payload), out, len(out))
    assert out.raw[:size] == encode_frame(payload)


pieces = st.one_of(
    st.binary(max_size=40),
    payloads.map(encode_frame),
    payloads.map(lambda p: encode_frame(p)[:-3]),
    st.binary(min_size=500, max_size=530).map(encode_frame),
    st.binary(min_size=0, max_size=30).map(lambda p: cobs_encode(p) + b"\0"),
    st.integers(0, 5).map(lambda n: (b"\xff" + b"z" * 254) * n + b"\1\0"),
)


@settings(max_examples=200)
@given(stream=st.lists(pieces, max_size=8).map(b"".join))
def test_the_board_takes_and_drops_the_same_frames(codec: ctypes.CDLL, stream: bytes) -> None:
    decoder = FrameDecoder()
    assert c_receive(codec, stream) == (list(decoder.push(stream)), decoder.dropped)


@pytest.mark.parametrize("size", [0, 55, 56, 63, 64, 65, 119, 120, 1000])
def test_sha256_of_the_board(codec: ctypes.CDLL, size: int) -> None:
    import hashlib

    data = bytes(i * 7 % 251 for i in range(size))
    out = ctypes.create_string_buffer(32)
    codec.sha256(data, size, out)
    assert out.raw == hashlib.sha256(data).digest()
