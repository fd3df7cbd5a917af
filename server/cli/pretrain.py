"""`tinyfleet server pretrain`: meta-train the backbone of a task in torch."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import AsJson, print_json, print_table


def pretrain(
    out: Annotated[Path, typer.Option(help="Write the model here (.tflite).")],
    steps: Annotated[int, typer.Option(min=1, help="Episodes to train on.")] = 15_000,
    classes: Annotated[int, typer.Option(min=2, help="Spare classes of the head.")] = 20,
    filters: Annotated[int, typer.Option(min=1, help="Filters of every convolution.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Meta-train a convolutional backbone for characters on this machine, with torch.

    The file has an int8 backbone and a float32 head of spare classes: devices add classes as they
    see them, and train the head alone.

    Example: tinyfleet server pretrain --steps 15000 --out characters.tflite
    """
    import numpy as np

    from edge.artifact import Artifact
    from edge.errors import MissingExtra
    from server.cli.progress import rounds_bar
    from server.tasks.characters import CharactersTask

    try:
        from server.meta.backbone import Backbone, hybrid
        from server.meta.prototypes import Episodes, meta_train
    except ImportError as error:
        raise MissingExtra("torch is not installed.", hint="pip install torch") from error

    task = CharactersTask(side=28)
    drawings = task.drawings("train")
    backbone = Backbone(filters=filters)
    with rounds_bar(steps, "meta-training") as advance:
        module = meta_train(
            backbone,
            drawings,
            Episodes(steps=steps, seed=seed),
            on_step=lambda step, loss: advance(f"loss {loss:.3f}"),
        )
    calibration = [group[0].reshape(-1) for group in drawings[:: max(len(drawings) // 200, 1)]]
    data = hybrid(backbone, module, np.stack(calibration), classes, "characters")
    out.write_bytes(data)
    found = {"bytes": len(data), "model": Artifact(data).sha256, "episodes": steps}
    if as_json:
        print_json(found)
    else:
        print_table(["what", "value"], [[name, value] for name, value in found.items()])
