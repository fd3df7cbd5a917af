"""What each task is usually trained and evaluated with; every value can be overridden."""

import math
from collections.abc import Mapping
from typing import Any

from server.tasks.own import OWN

__all__ = ["ADAPTATION", "SHOTS", "adaptation", "sized", "strategy_options"]

SHOTS = {
    "sine": 10,
    "characters": 5,
    "digits": 5,
    "keywords": 1,
    "presence": 200,
    "anomaly": 200,
    "gesture": 5,
}
"""Support samples of an episode (of each class, where there are classes)."""

ADAPTATION: Mapping[str, Mapping[str, Any]] = {
    "sine": {"shots": 10, "epochs": 16, "rate": 0.002},
    "sine.tflite": {"shots": 8, "epochs": 8, "rate": 0.0003},
    "characters": {"shots": 5, "epochs": 1, "rate": 0.1},
    "characters.tflite": {"shots": 1, "epochs": 10, "rate": 0.001, "train_layers": 1},
    "digits": {"shots": 5, "epochs": 10, "rate": 0.02},
    "digits.tflite": {"shots": 5, "epochs": 20, "rate": 0.01, "train_layers": 2},
    "keywords": {"shots": 1, "epochs": 1, "rate": 0.01},
    "keywords.tflite": {"shots": 1, "epochs": 1, "rate": 0.001, "train_layers": 1},
    "presence": {"shots": 200, "epochs": 30, "rate": 0.01},
    "anomaly": {"shots": 200, "epochs": 30, "rate": 0.02},
    "gesture": {"shots": 5, "epochs": 3, "rate": 0.02},
    "own": {"shots": 20, "epochs": 5, "rate": 0.01},
}
"""How an unseen device adapts; characters in one pass, online. With an ending: a model on a frozen
backbone, such as those that come with the package, whose head alone is trained."""

_OPTIONS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("sine", "reptile"): {"samples": 10, "epochs": 16, "rate": 0.002},
    ("sine", "tinyreptile"): {"samples": 50, "rate": 0.002},
    ("sine", "maml"): {"rate": 0.0003},
    **{
        ("sine", name): {"rate": 0.001}
        for name in ("fedadam", "fedrep", "fedyogi", "fomaml", "perfedavg", "tinymetafed")
    },
    ("characters", "reptile"): {"samples": 25, "epochs": 2, "rate": 0.1},
    ("characters", "tinyreptile"): {"samples": 25, "rate": 0.05},
    ("characters", "fedavg"): {"samples": 25, "rate": 0.05},
    ("digits", "fedavg"): {"samples": 50, "rate": 0.02},
    ("digits", "reptile"): {"samples": 50, "epochs": 2, "rate": 0.02},
    ("digits", "tinyreptile"): {"samples": 50, "rate": 0.02},
    ("keywords", "fedavg"): {"samples": 3, "rate": 0.02},
    ("keywords", "reptile"): {"samples": 3, "epochs": 2, "rate": 0.01},
    ("keywords", "tinyreptile"): {"samples": 3, "rate": 0.005},
    ("anomaly", "fedavg"): {"samples": 100, "rate": 0.01},
    ("anomaly", "reptile"): {"samples": 50, "epochs": 3, "rate": 0.01, "first_outer_rate": 0.5},
    ("anomaly", "tinyreptile"): {"samples": 100, "rate": 0.01, "first_outer_rate": 0.5},
    ("gesture", "fedavg"): {"samples": 25, "rate": 0.02},
    ("gesture", "reptile"): {"samples": 25, "epochs": 3, "rate": 0.02, "first_outer_rate": 0.5},
    ("gesture", "tinyreptile"): {"samples": 100, "rate": 0.02, "first_outer_rate": 0.5},
    ("presence", "fedavg"): {"samples": 64, "rate": 0.02},
    ("presence", "reptile"): {
        "samples": 64,
        "epochs": 3,
        "rate": 0.02,
        "cohort_size": 6,
        "first_outer_rate": 0.5,
    },
    ("presence", "tinyreptile"): {"samples": 128, "rate": 0.02, "first_outer_rate": 0.5},
}


def adaptation(task: str, *, frozen: bool) -> dict[str, Any]:
    """How an unseen device adapts a model of a task, with or without a frozen backbone."""
    name = f"{task}.tflite" if frozen else task
    return dict(ADAPTATION.get(name, ADAPTATION[task]))


def strategy_options(task: str, strategy: str, **given: Any) -> dict[str, Any]:
    """The usual options of a strategy for a task, and over them those given that are not None."""
    usual = dict(_OPTIONS.get((task, strategy), {}))
    return usual | {name: value for name, value in given.items() if value is not None}


def sized(task: str, n_in: int, n_out: int, *, classifier: bool = False) -> dict[str, int]:
    """The options of a task that make its samples fit a model's ends, where it has such.

    >>> sized("characters", 784, 5), sized("sine", 1, 1), sized("own", 6, 2, classifier=True)
    ({'side': 28}, {}, {'outputs': 2, 'classifier': True})
    """
    if task == OWN:
        return {"outputs": n_out, "classifier": classifier}
    side = math.isqrt(n_in)
    return {"side": side} if task == "characters" and side in (14, 28) else {}
