import ctypes
import struct
from typing import Any

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st

KEYS = 16
NONE, UINT, NEGATIVE, BYTES, TEXT, BOOL, NULL, FLOAT = range(8)


class Item(ctypes.Structure):
    _fields_ = [
        ("bytes", ctypes.c_void_p),
        ("value", ctypes.c_uint32),
        ("kind", ctypes.c_uint8),
    ]


class Writer(ctypes.Structure):
    _fields_ = [
        ("buffer", ctypes.c_void_p),
        ("capacity", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
        ("overflow", ctypes.c_bool),
    ]


def parse(codec: ctypes.CDLL, data: bytes) -> dict[int, Any] | None:
    items = (Item * KEYS)()
    codec.cb_parse.restype = ctypes.c_bool
    kept = ctypes.create_string_buffer(data, len(data))
    if not codec.cb_parse(kept, len(data), items, KEYS):
        return None
    return {key: value_of(item) for key, item in enumerate(items) if item.kind != NONE}


def value_of(item: Item) -> Any:
    if item.kind in (BYTES, TEXT):
        raw = ctypes.string_at(item.bytes, item.value)
        return raw if item.kind == BYTES else raw.decode()
    if item.kind == FLOAT:
        return struct.unpack("<f", struct.pack("<I", item.value))[0]
    values = {UINT: item.value, NEGATIVE: -1 - item.value, BOOL: bool(item.value), NULL: None}
    return values[item.kind]


values = st.one_of(
    st.integers(-(2**32), 2**32 - 1),
    st.binary(max_size=80),
    st.text(max_size=20),
    st.booleans(),
    st.none(),
    st.floats(width=32, allow_nan=False),
    st.floats(width=16, allow_nan=False),
)
maps = st.dictionaries(st.integers(0, KEYS - 1), values)


@settings(max_examples=300)
@given(message=maps)
def test_the_board_reads_what_the_host_writes(codec: ctypes.CDLL, message: dict[int, Any]) -> None:
    assert parse(codec, cbor2.dumps(message, canonical=True)) == message


@given(message=maps, data=st.data())
def test_a_cut_message_is_refused(codec: ctypes.CDLL, message: dict[int, Any], data: Any) -> None:
    encoded = cbor2.dumps(message, canonical=True)
    size = data.draw(st.integers(0, len(encoded) - 1))
    assert parse(codec, encoded[:size]) is None
    assert parse(codec, encoded + b"\0") is None


def test_what_is_outside_the_subset_is_refused(codec: ctypes.CDLL) -> None:
    for message in ({1: [1]}, {1: {}}, {16: 1}, {-1: 1}, {"a": 1}, {1: 2**32}, {1: 0.1}, [1], 1):
        assert parse(codec, cbor2.dumps(message)) is None
    assert parse(codec, b"\xa2\x01\x01\x01\x02") is None  # a key twice
    assert parse(codec, b"\xbf\x01\x01\xff") is None  # indefinite length
    assert parse(codec, b"\xa1\x01\x5a\xff\xff\xff\xff") is None  # 4 GB to come


@settings(max_examples=500)
@given(data=st.one_of(st.binary(max_size=40), st.binary(max_size=30).map(lambda b: b"\xa3" + b)))
def test_any_bytes_are_refused_or_read_as_cbor(codec: ctypes.CDLL, data: bytes) -> None:
    try:
        oracle = cbor2.loads(data)
    except Exception:
        oracle = None
    try:
        found = parse(codec, data)
    except UnicodeDecodeError:
        return
    if found is not None and oracle is not None:
        assert repr(dict(sorted(oracle.items()))) == repr(found)


@given(number=st.integers(-(2**31), 2**31 - 1), big=st.integers(0, 2**32 - 1), blob=st.binary())
def test_the_host_reads_what_the_board_writes(
    codec: ctypes.CDLL, number: int, big: int, blob: bytes
) -> None:
    buffer = ctypes.create_string_buffer(2000)
    w = Writer()
    ref = ctypes.byref(w)
    codec.cb_begin(ref, buffer, len(buffer))
    codec.cb_put_int(ref, 3, number)
    codec.cb_put_uint(ref, 30, ctypes.c_uint32(big))
    codec.cb_put_bytes(ref, 300, blob, len(blob))
    codec.cb_put_float(ref, 4, ctypes.c_float(0.1))
    codec.cb_put_null(ref, 5)
    assert not w.overflow
    tenth = struct.unpack("<f", struct.pack("<f", 0.1))[0]
    expected = {3: number, 30: big, 300: blob, 4: tenth, 5: None}
    assert cbor2.loads(buffer.raw[: w.length]) == expected


def test_a_full_buffer_is_noticed_and_not_overrun(codec: ctypes.CDLL) -> None:
    buffer = ctypes.create_string_buffer(b"\xaa" * 20, 20)
    w = Writer()
    codec.cb_begin(ctypes.byref(w), buffer, 10)
    codec.cb_put_bytes(ctypes.byref(w), 1, b"x" * 15, 15)
    assert w.overflow
    assert buffer.raw[10:] == b"\xaa" * 10
