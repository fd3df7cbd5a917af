"""`tinyfleet demo`: the main job from beginning to end on this machine."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    rounds: Annotated[int, typer.Option(min=1, help="Federated rounds over MQTT.")] = 40,
    seed: Annotated[int, typer.Option(help="Seed of models, cohorts and sensors.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder that run folders are made in.")] = Path("runs"),
) -> int:
    """Start a fleet, let it learn, ship the result to it, and ask the catalogue.

    Example: tinyfleet demo --rounds 40
    """
    from server.demo.story import run_demo

    return run_demo(out, rounds=rounds, seed=seed)
