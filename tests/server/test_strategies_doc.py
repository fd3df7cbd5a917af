"""docs/STRATEGIES.md: its example runs, its table is complete."""

import re
from pathlib import Path

import numpy as np
import pytest

from server.cli.app import main
from server.strategies import STRATEGIES, Contribution, get_strategy

DOCUMENT = (Path(__file__).parents[2] / "docs" / "STRATEGIES.md").read_text(encoding="utf-8")


@pytest.fixture
def registered(monkeypatch):
    code = re.search(r"```python\n(.*?)```", DOCUMENT, re.DOTALL).group(1)
    assert len(code.splitlines()) <= 40
    found = {"__name__": "fedavgm"}
    exec(compile(code, "STRATEGIES.md", "exec"), found)
    monkeypatch.setitem(STRATEGIES, "fedavgm", found["FedAvgM"])


def test_every_strategy_is_in_the_table():
    for name in STRATEGIES:
        assert f"`{name}`" in DOCUMENT


def test_the_example_is_a_strategy(registered, capsys):
    arguments = ["--strategy", "fedavgm", "--option", "beta=0.5", "--rounds", "3"]
    assert main(["server", "simulate", *arguments, "--rate", "0.0005"]) == 0
    assert "mse" in capsys.readouterr().out
    strategy = get_strategy("fedavgm", beta=0.5)
    assert get_strategy("fedavgm", **strategy.options()) == strategy
    base, one = np.zeros(2, np.float32), [Contribution("d", np.float32([1, 2]), 4)]
    first = strategy.aggregate(base, one, 1.0)
    assert first.tolist() == [1, 2]
    assert strategy.aggregate(base, one, 1.0).tolist() == [1.5, 3]
