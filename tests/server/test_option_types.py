"""Options of strategies and tasks as a command line spells them."""

import pytest

from edge.errors import UsageError
from server.option_types import check_types
from server.simulate import simulate
from server.strategies import STRATEGIES, get_strategy
from server.tasks import get_task


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@pytest.mark.parametrize(
    ("option", "value"),
    [("top_p", "abc"), ("samples", "abc"), ("rate", "1,5"), ("standardise", "maybe"),
     ("robust", 5), ("epochs", 1.5), ("samples", True), ("rate", [0.1])],
)  # fmt: skip
def test_a_wrong_type_is_refused_by_name(name: str, option: str, value: object) -> None:
    with pytest.raises(UsageError, match=option):
        get_strategy(name, **{option: value})


def test_whole_numbers_are_numbers() -> None:
    assert get_strategy("reptile", rate=1).plan(1, 1).rate == 1


def test_tasks_too() -> None:
    with pytest.raises(UsageError, match="ways of task characters is 'abc'"):
        get_task("characters", ways="abc")


def test_unions_and_literals() -> None:
    class Made:
        def __init__(self, one: int | None = None, other: str = "") -> None: ...

    check_types(Made, {"one": None, "other": "x", "unknown": object()}, "it")
    with pytest.raises(UsageError) as caught:
        check_types(Made, {"one": "1"}, "it")
    assert caught.value.hint == "a whole number or null"


def test_learning_that_runs_away_is_said() -> None:
    task = get_task("sine")
    wild = simulate(task, get_strategy("reptile", rate=1000.0), 3, clients_per_round=2)
    assert "diverged" in wild.divergence
    tame = simulate(task, get_strategy("reptile", rate=0.001), 3, clients_per_round=2)
    assert tame.divergence == ""
