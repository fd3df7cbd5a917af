"""Deploy one file to one emulated board and hold its answers against the host's."""

from typing import Any, Literal, cast

import numpy as np

from edge.artifact import Artifact
from edge.board_protocol import BoardClient, BoardError
from edge.budget import check_fits, requirement
from edge.errors import ArtifactError, DoesNotFit
from edge.runtime import load
from firmware_sim.device import SimulatedDevice
from server.rollout import expected_outputs

__all__ = ["check_on_board"]


def check_on_board(data: bytes, *, board: str, backend: str, samples: int) -> dict[str, Any]:
    """Power a board on, deploy, predict random inputs, and compare.

    Args:
        data: the `.tflite`.
        board: a name from `firmware_sim.boards.BOARDS`.
        backend: unicorn, qemu or auto.
        samples: how many random inputs.

    Returns:
        What was measured, by name; `agrees` says whether the outputs are within the bound.

    Raises:
        ArtifactError: the learner does not know the model.
        DoesNotFit: the board has no room for it.
    """
    artifact = Artifact(data)
    need = requirement(artifact)
    kind = cast(Literal["auto", "unicorn", "qemu"], backend)
    with SimulatedDevice(board, device_id=board, backend=kind, count_instructions=True) as device:
        count = device.backend == "unicorn"
        client = BoardClient(device.port)
        hello = client.hello()
        what = f"{artifact.name or 'the model'} on {board}"
        check_fits(need, arena=hello.arena, slot=hello.slot, train=False, what=what)
        try:
            info = client.upload_artifact(data)
        except BoardError as error:
            raise _explained(error, what) from error
        x = np.random.default_rng(0).uniform(-1, 1, (samples, artifact.spec.n_in))
        inputs = x.astype(np.float32)
        client.predict(inputs[0])
        before = device.instructions
        answers = client.predict(inputs)
        instructions = (device.instructions - before) // samples
        runtime = load(data)
        expected, bound = expected_outputs(artifact, runtime.run, inputs)
        largest = float(np.max(np.abs(answers - expected)))
        return {
            "board": device.profile.title,
            "core": device.profile.core,
            "model": artifact.sha256,
            "file bytes": artifact.size,
            "slot bytes": hello.slot,
            "arena bytes to predict": need.board_infer,
            "arena bytes to learn": need.board_train or "nothing to train",
            "arena bytes there": hello.arena,
            "can learn here": bool(info.can_train),
            "instructions per prediction, link included": instructions if count else "not counted",
            "peak stack bytes": device.peak_stack,
            "compared with": runtime.name,
            "inputs": samples,
            "largest difference": largest,
            "allowed difference": bound,
            "agrees": largest <= bound,
        }


def _explained(error: BoardError, what: str) -> Exception:
    if error.needed > error.available:
        return DoesNotFit(
            f"{what}: {error.needed} bytes needed, {error.available} there.",
            needed=error.needed,
            available=error.available,
            hint="a smaller model or a larger board: tinyfleet sim boards",
        )
    return ArtifactError(f"{what}: {error.message}")
