import re
from pathlib import Path

import pytest

from edge.board_words import MAX_CHUNK, Key, Op, Status, Target
from edge.frames import MAX_PAYLOAD
from firmware_sim import memory

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = (ROOT / "firmware_sim/firmware/protocol.h").read_text()
LEARNER = (ROOT / "edge/learner/include/tinylearn.h").read_text()
BOARD = (ROOT / "firmware_sim/firmware/board.h").read_text()
RENAMED = {"OP": "OPERATOR"}


def numbers(text: str, prefix: str) -> dict[str, int]:
    return {n: int(v) for n, v in re.findall(rf"\b{prefix}(\w+) = (-?\d+)", text)}


@pytest.mark.parametrize(
    ("prefix", "enum"),
    [("OP_", Op), ("TARGET_", Target), ("KEY_", Key)],
    ids=["op", "target", "key"],
)
def test_both_ends_hold_the_same_numbers(prefix: str, enum: type[Op]) -> None:
    assert numbers(PROTOCOL, prefix) == {item.name: item.value for item in enum}


def test_both_ends_hold_the_same_statuses() -> None:
    learner = {RENAMED.get(n, n): v for n, v in numbers(LEARNER, "TL_E_").items()}
    board = {**learner, **numbers(PROTOCOL, "LINK_E_"), "OK": 0, "NO_ANSWER": -100}
    assert board == {item.name: item.value for item in Status}


def test_both_ends_hold_the_same_limits() -> None:
    assert f"LINK_MAX_PAYLOAD {MAX_PAYLOAD}u" in PROTOCOL
    assert f"LINK_MAX_CHUNK {MAX_CHUNK}u" in PROTOCOL
    assert f"BOARD_INFO_ADDRESS {memory.INFO_BASE:#010x}u" in BOARD
    assert f"BOARD_RAM_BASE {memory.RAM_BASE:#010x}u" in BOARD
    script = (ROOT / "firmware_sim/firmware/boards/link.ld").read_text()
    assert f"STACK_BYTES = {memory.STACK_BYTES};" in script
    paint = (ROOT / "firmware_sim/firmware/boards/startup.h").read_text()
    assert f"STACK_PAINT {memory.STACK_PAINT:#x}u" in paint
