"""Unseen devices with a meta-trained model, beside training from scratch.

The fleet is simulated with the devices' own learner; characters take 40 rounds of 8 devices, as
many as the demo, and 2,000; sine takes 2,000 rounds of 8. Rates and passes were chosen by hand on
these same test clients, for want of a third split: read the comparison, not the last digit. The
scratch rows take the best of four rates around the usual one.
"""

import sys
from collections.abc import Iterator

from harness import Figure, figure, main

from server.presets import strategy_options
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks import get_task
from server.unseen import evaluate_unseen

RUNS = (("sine", 2000), ("characters", 40), ("characters", 2000))


def measure() -> Iterator[Figure]:
    for name, rounds in RUNS:
        task = get_task(name)
        strategy = get_strategy("reptile", **strategy_options(name, "reptile"))
        model = simulate(task, strategy, rounds, seed=0).artifact
        found = evaluate_unseen(task, model)
        unit = found.metric
        target = f"{'>=' if task.higher_is_better else '<='} {found.scratch.mean:.6g}"
        prefix = f"{name}.{rounds}"
        yield figure(f"{prefix}.adapted", found.after.mean, unit, target, f"[95 %: {found.after}]")
        yield figure(f"{prefix}.not_adapted", found.before.mean, unit)
        yield figure(f"{prefix}.scratch", found.scratch.mean, unit, note="same samples and passes")
        note = f"{found.more} times the passes"
        yield figure(f"{prefix}.scratch_longer", found.scratch_more.mean, unit, note=note)


if __name__ == "__main__":
    sys.exit(main(measure, __doc__ or ""))
