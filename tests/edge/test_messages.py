import math
from dataclasses import replace

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge import wire
from edge.errors import UsageError
from edge.messages import (
    Ack,
    Command,
    Decline,
    LocalPart,
    Message,
    MessageError,
    MetaPass,
    Offer,
    Plan,
    State,
    Update,
    decode_update,
)
from edge.stepping import Steps

DIGEST = "ab" * 32
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
counts = st.integers(0, 2**63 - 1)
numbers = st.floats()
texts = st.text(max_size=20)
floats = arrays.arrays(np.float32, st.integers(0, 30), elements=st.floats(width=32))
matrices = arrays.arrays(
    np.float32, st.tuples(st.integers(0, 4), st.integers(1, 5)), elements=st.floats(width=32)
)
indices = st.sets(st.integers(0, 2**32 - 1), max_size=30).map(
    lambda found: np.array(sorted(found), np.uint32)
)
plans = st.builds(
    Plan,
    *(texts, numbers, counts, counts, counts, st.booleans(), numbers),
    momentum=numbers,
    decay=numbers,
    clip=numbers,
    arithmetic=st.sampled_from(["mul_add", "fma"]),
    schedule=st.sampled_from(["constant", "linear"]),
    reconstruct=st.booleans(),
    bits=counts,
    proximal=numbers,
    local=st.none() | st.builds(LocalPart, counts, counts, st.booleans()),
    meta=st.none() | st.builds(MetaPass, counts, counts, numbers),
    max_staleness=counts,
)
results = st.dictionaries(
    texts, numbers | st.integers(-(2**62), 2**62) | texts | st.binary(max_size=9) | st.booleans()
)
kinds = st.sampled_from(["deploy", "predict", "evaluate", "rollback", "watch"])
messages = st.one_of(
    st.builds(
        Offer, names, counts, digests, st.lists(names).map(tuple), plans, numbers, texts, counts
    ),
    st.builds(
        Update,
        device=names,
        run=names,
        round=counts,
        base=digests,
        id=texts,
        delta=floats,
        indices=st.none() | indices,
        samples=counts,
        loss_first=numbers,
        loss_mean=numbers,
        loss_last=numbers,
        meters=st.dictionaries(texts, numbers),
        codes=st.none() | arrays.arrays(np.int8, st.integers(0, 9)),
        scale=numbers,
    ),
    st.builds(Decline, names, names, counts, digests, texts, texts, counts, counts),
    st.builds(
        Command,
        *(kinds, texts, st.none() | digests, st.none() | matrices, st.none() | counts),
        plan=st.none() | plans,
        watching=st.none() | st.dictionaries(texts, numbers),
    ),
    st.builds(Ack, names, texts, kinds, st.booleans(), texts, results, st.none() | matrices),
    st.builds(State, names, st.sampled_from(["online", "offline"]), st.none() | digests, numbers),
)
CLASSES: list[type[Message]] = [Offer, Update, Decline, Command, Ack, State]


def an_update(**changes: object) -> Update:
    update = Update(
        device="d1",
        run="r",
        round=3,
        base=DIGEST,
        id="i",
        delta=np.array([1.5, -2.0], np.float32),
        indices=None,
        samples=4,
        loss_first=1.0,
        loss_mean=0.5,
        loss_last=0.25,
    )
    return replace(update, **changes)  # type: ignore[arg-type]


@given(messages)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    data = message.encode()
    back = type(message).decode(data)
    assert back == message
    assert back.encode() == data
    for other in CLASSES:
        if other is not type(message):
            with pytest.raises(MessageError):
                other.decode(data)


def test_every_field_and_bit_of_an_update_survives() -> None:
    strange = np.array([np.nan, -0.0, np.inf, 1e-45, 3.4e38], np.float32)
    update = an_update(delta=strange, indices=np.arange(5, dtype=np.uint32), loss_last=math.nan)
    back = decode_update(update.encode())
    assert isinstance(back, Update)
    assert back.delta.tobytes() == strange.tobytes()
    assert back.indices is not None
    assert back.indices.tolist() == [0, 1, 2, 3, 4]
    assert (back.device, back.run, back.round, back.samples) == ("d1", "r", 3, 4)
    assert math.isnan(back.loss_last)


def test_the_wire_form_is_plain_canonical_cbor() -> None:
    found = cbor2.loads(an_update().encode())
    assert found["v"] == 1
    assert found["message"] == "update"
    assert found["delta"] == cbor2.CBORTag(85, np.array([1.5, -2.0], "<f4").tobytes())
    assert cbor2.dumps(found, canonical=True) == an_update().encode()


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_message_error(data: bytes) -> None:
    for kind in CLASSES:
        with pytest.raises(MessageError):
            kind.decode(data)
    with pytest.raises(MessageError):
        decode_update(data)


@given(messages, st.data())
def test_damaged_messages_never_raise_anything_else(message: Message, data: st.DataObject) -> None:
    damaged = bytearray(message.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    for candidate in (bytes(damaged), cut):
        try:
            type(message).decode(candidate)
        except MessageError as error:
            assert error.message


@given(messages, st.integers(0, 10_000))
def test_a_cut_message_is_refused(message: Message, at: int) -> None:
    data = message.encode()
    with pytest.raises(MessageError):
        type(message).decode(data[: at % len(data)])
    with pytest.raises(MessageError, match="follow"):
        type(message).decode(data + b"\x00")


nested = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | numbers | texts | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(nested)
def test_the_reader_agrees_with_cbor2(value: object) -> None:
    data = cbor2.dumps(value)
    try:
        ours = wire.loads(data)
    except MessageError as error:
        assert "deeper" in error.message
        return
    assert repr(ours) == repr(cbor2.loads(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x81" * 5000,
        b"\x9f\x01\xff",
        cbor2.dumps(cbor2.CBORTag(35, "(a+)+$")),
        cbor2.dumps({"a": 1})[:-1] + b"\x18",
        b"\xa2\x61a\x01\x61a\x02",
        b"\xa1\x01\x02",
        b"\x61\xff",
        cbor2.dumps(cbor2.CBORTag(85, b"\0" * 7)),
        cbor2.dumps(cbor2.CBORTag(40, [[2, 3], cbor2.CBORTag(85, b"\0" * 8)])),
        cbor2.dumps(cbor2.CBORTag(40, [[0, 2**62], cbor2.CBORTag(85, b"")])),
        cbor2.dumps(cbor2.CBORTag(40, [[-1, -1], cbor2.CBORTag(85, b"\0" * 4)])),
    ],
)
def test_the_reader_refuses(data: bytes) -> None:
    with pytest.raises(MessageError):
        wire.loads(data)


def altered(message: Message, **changes: object) -> bytes:
    found = cbor2.loads(message.encode())
    for key, value in changes.items():
        if value is None:
            del found[key]
        else:
            found[key] = value
    return cbor2.dumps(found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v": 2}, "schema version 2"),
        ({"v": True}, "schema version True"),
        ({"round": None}, r"missing \['round'\]"),
        ({"colour": "red"}, r"unknown \['colour'\]"),
        ({"round": 1.0}, "Update.round"),
        ({"round": -1}, "Update.round"),
        ({"samples": "4"}, "Update.samples"),
        ({"base": "AB" * 32}, "Update.base"),
        ({"device": "a/b"}, "Update.device"),
        ({"device": "#"}, "Update.device"),
        ({"delta": [1.0, 2.0]}, "Update.delta"),
        ({"delta": cbor2.CBORTag(70, b"\0" * 4)}, "Update.delta"),
        ({"indices": cbor2.CBORTag(70, b"\0" * 8)}, "strictly increasing"),
        ({"meters": {"seconds": "1"}}, "Update.meters"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        decode_update(altered(an_update(), **changes))


OLD_PLAN = {
    "strategy": "reptile",
    "rate": 0.5,
    "samples": 4,
    "epochs": 2,
    "train_layers": 1,
    "standardise": True,
    "top_p": 1.0,
}


def test_a_plan_of_before_the_steps_decodes_and_is_still_sent() -> None:
    plan = Plan.from_map(OLD_PLAN)
    assert plan.to_map() == OLD_PLAN
    assert plan.steps == Steps()
    more = replace(plan, momentum=0.9, schedule="linear")
    assert more.to_map() == OLD_PLAN | {"momentum": 0.9, "schedule": "linear"}
    assert Plan.from_map(more.to_map()) == more


def test_a_command_of_before_the_watching_is_still_sent() -> None:
    old = {"v", "message", "kind", "id", "base", "x", "samples"}
    assert cbor2.loads(Command("rollback", "c").encode()).keys() == old
    found = cbor2.loads(Command("watch", "c", samples=4, plan=Plan("s", 0.1, 4)).encode())
    assert found.keys() == old | {"plan"}
    assert found["plan"]["rate"] == 0.1
    with pytest.raises(MessageError, match=r"Command.plan: Plan: fields missing"):
        Command.decode(cbor2.dumps(found | {"plan": {}}))


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"momentum": True}, r"Plan.momentum"),
        ({"schedule": "cosine"}, r"Plan.schedule: 'cosine' came where one of"),
        ({"arithmetic": 1}, r"Plan.arithmetic"),
        ({"reconstruct": 1}, r"Plan.reconstruct"),
        ({"nesterov": True}, r"unknown \['nesterov'\]"),
        ({"top_p": None}, r"Plan.top_p"),
    ],
)
def test_a_wrong_step_is_named(field: dict[str, object], reason: str) -> None:
    with pytest.raises(MessageError, match=reason):
        Plan.from_map(OLD_PLAN | field)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"momentum": 1 - 1e-12}, "momentum is 0.999"),
        ({"momentum": -0.1}, "momentum is -0.1"),
        ({"momentum": math.nan}, "momentum is nan"),
        ({"decay": math.inf}, "weight decay is inf"),
        ({"decay": 1e39}, "weight decay is 1e"),
        ({"clip": -1.0}, "clip is -1.0"),
        ({"arithmetic": "fixed"}, "no arithmetic 'fixed'"),
        ({"schedule": "cosine"}, "no schedule 'cosine'"),
    ],
)
def test_steps_out_of_range_are_refused(options: dict[str, float], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Steps(**options)  # type: ignore[arg-type]


@given(st.integers(1, 2000), st.floats(2.0**-20, 1, width=32))
def test_a_linear_rate_falls_from_the_first_to_near_nothing(samples: int, rate: float) -> None:
    rates = Steps(schedule="linear").rates(rate, samples)
    exact = rate * (1 - np.arange(samples) / samples)
    assert rates[0] == rate
    assert (np.abs(rates - exact) <= 2e-7 * exact).all()
    assert set(Steps().rates(rate, samples).tolist()) == {rate}


def test_a_wrong_value_is_refused_before_it_is_sent() -> None:
    with pytest.raises(MessageError, match=r"Update.delta"):
        an_update(delta=np.zeros(2)).encode()
    with pytest.raises(MessageError, match=r"Plan.rate"):
        Plan("reptile", "fast", 4).to_map()  # type: ignore[arg-type]


def test_dense_fills_the_entries_that_were_not_sent() -> None:
    sparse = an_update(indices=np.array([1, 3], np.uint32))
    assert sparse.dense(5).tolist() == [0.0, 1.5, 0.0, -2.0, 0.0]
    assert an_update().dense(2).tolist() == [1.5, -2.0]
    for update, n in ((sparse, 3), (an_update(), 3)):
        with pytest.raises(MessageError):
            update.dense(n)
    with pytest.raises(MessageError):
        an_update(indices=np.array([1], np.uint32)).dense(5)
