"""`tinyfleet server pretrain`: make the model of a task in torch, before any device learns."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import AsJson, file_to_write, print_json, print_table

STEPS = {"sine": 25_000, "characters": 15_000, "digits": 2_500, "keywords": 600}


def pretrain(
    out: Annotated[Path, typer.Option(help="Write the model here (.tflite).")],
    task: Annotated[str, typer.Option(help=f"One of {', '.join(STEPS)}.")] = "characters",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Steps to train; without it as many as are usual.")
    ] = None,
    classes: Annotated[int, typer.Option(min=2, help="Spare classes (characters).")] = 20,
    filters: Annotated[
        int, typer.Option(min=1, help="Filters of every convolution (characters).")
    ] = 64,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Train the model of a task on this machine, with torch.

    That of sine is float32, and all of it adapts. The others have an int8 backbone and float32
    dense layers. Characters have spare classes alone: devices add classes as they see them, and
    train the head. Spoken words are known from the start; digits learn a speaker from few takes.

    Example: tinyfleet server pretrain --task keywords --out keywords.tflite
    """
    from edge.artifact import Artifact
    from edge.errors import MissingExtra, UsageError
    from server.cli.progress import rounds_bar

    if task not in STEPS:
        raise UsageError(f"task {task!r} is not pre-trained.", hint=f"one of {', '.join(STEPS)}")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            "torch is not installed.", hint="pip install 'tinyfleet[meta]'"
        ) from error

    file_to_write(out, ".tflite")
    count = steps or STEPS[task]
    with rounds_bar(count, "training") as advance:
        data = _made(
            task, count, classes, filters, seed, lambda step, loss: advance(f"loss {loss:.3f}")
        )
    out.write_bytes(data)
    found = {"bytes": len(data), "model": Artifact(data).sha256, "steps": count}
    if as_json:
        print_json(found)
    else:
        print_table(["what", "value"], [[name, value] for name, value in found.items()])


def _made(
    task: str,
    steps: int,
    classes: int,
    filters: int,
    seed: int,
    on_step: Callable[[int, float], None],
) -> bytes:
    if task == "characters":
        from server.meta.characters import characters_model
        from server.meta.prototypes import Episodes

        how = Episodes(steps=steps, seed=seed)
        return characters_model(how, classes=classes, filters=filters, on_step=on_step)
    import torch

    torch.set_num_threads(1)  # these nets are too small to share
    if task == "sine":
        from server.meta.waves import WaveRecipe, sine_model

        return sine_model(WaveRecipe(steps=steps, seed=seed), on_step)
    from server.tasks.sounds import DigitsTask, KeywordsTask

    if task == "digits":
        from server.meta.digits import digits_model
        from server.meta.speakers import SpeakerRecipe

        recipe = SpeakerRecipe(steps=steps, seed=seed)
        return digits_model(DigitsTask(everyone=True), recipe, on_step)
    from server.meta.keywords import keywords_model
    from server.meta.words import Recipe

    return keywords_model(KeywordsTask(everyone=True), Recipe(steps=steps, seed=seed), on_step)
