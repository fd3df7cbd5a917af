"""The table of what devices predicted."""

import numpy as np

from server.asking import Answer
from server.cli.predictions import prediction_table

TINY = [[5.821e-16, 1.22e-08, 1.0], [0.25, 0.5, 0.25]]


def answer(y: list[list[float]] | None, reason: str = "") -> Answer:
    found = None if y is None else np.array(y, np.float32)
    return Answer("d", y is not None, reason, "ab" * 32, y=found)


def test_outputs_are_equally_wide_and_the_largest_is_named() -> None:
    unknown = np.full((2, 1), np.nan, np.float32)
    header, rows = prediction_table([answer(TINY), answer(None, "d is offline.")], unknown)
    assert header == ["device", "model", "input", "outputs", "largest", "reason"]
    assert [row[2:] for row in rows] == [
        [0, "0.0000 0.0000 1.0000", 2, ""],
        [1, "0.2500 0.5000 0.2500", 1, ""],
        ["-", "-", "-", "d is offline."],
    ]
    (row,) = prediction_table([answer([[1.0, -20.0]])], unknown)[1]
    assert row[3] == "  1.0000 -20.0000"
    (row,) = prediction_table([answer([[1e9, 0.5]])], unknown)[1]
    assert row[3] == "1e+09   0.5"
    (row,) = prediction_table([answer([[float(n) for n in range(10)]])], unknown)[1]
    assert row[3].endswith("7.0000 ... 10 in all") and row[4] == 9


def test_known_classes_say_what_is_right() -> None:
    header, rows = prediction_table([answer(TINY)], np.array([[2], [0]], np.float32))
    assert header[4:6] == ["largest", "right"]
    assert [row[4:6] for row in rows] == [[2, "yes"], [1, "no, 0"]]
    rows = prediction_table([answer(TINY)], np.array([[2], [np.nan]], np.float32))[1]
    assert [row[5] for row in rows] == ["yes", "-"]
    values = np.array([[0.5], [7]], np.float32)
    assert "right" not in prediction_table([answer(TINY)], values)[0]


def test_one_output_is_a_number() -> None:
    header, rows = prediction_table([answer([[0.012345], [3.0]])], np.zeros((2, 1), np.float32))
    assert header == ["device", "model", "input", "outputs", "reason"]
    assert [row[3].split() for row in rows] == [["0.01235"], ["3"]]
