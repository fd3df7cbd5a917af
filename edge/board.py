"""A microcontroller behind a serial line as a device."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from edge.artifact import Artifact
from edge.board_protocol import BoardClient, BoardError, BoardInfo, Status
from edge.errors import ArtifactError, DoesNotFit
from edge.layout import Layout, layout_of
from edge.learner import LearnerError
from edge.messages import Plan
from edge.ports import SerialPort
from edge.profile import Core, DeviceProfile
from edge.self_test import SelfTest
from edge.stepping import Watching
from edge.topics import DeviceTopics
from edge.worker import Outcome, TrainResult, WatchResult

__all__ = ["BoardWorker"]

Meters = Callable[[], dict[str, float]]
_SHORT = (Status.ARENA, Status.SPACE)


class BoardWorker:
    """A device that is a board; every call goes over its serial line.

    Args:
        port: the line to the board; closed by `close`.
        profile: what the board is; None: what it says itself, with unknown sizes 0.
        meters: running totals of what is measured, such as instructions; their growth during
            training is reported.
        client: options of `BoardClient`, such as `timeout`.

    Raises:
        BoardError: the board does not answer.
    """

    def __init__(
        self,
        port: SerialPort,
        *,
        profile: DeviceProfile | None = None,
        meters: Meters | None = None,
        **client: Any,
    ) -> None:
        """Ask the board what it is."""
        self._port = port
        self._client = BoardClient(port, **client)
        self._meters = meters
        self._layout: Layout | None = None
        self._held: str | None = None
        self._lock = threading.RLock()
        self._info = self._client.hello()
        self.profile = profile or _unknown(self._info)

    @property
    def info(self) -> BoardInfo:
        """What the board said last."""
        return self._info

    @property
    def running(self) -> str | None:
        """SHA-256 of the active artefact, as the board said last."""
        return self._info.active

    def check(self) -> bool:
        """Whether the board answers."""
        with self._lock:
            try:
                self._info = self._client.hello()
            except BoardError:
                return False
            return True

    @property
    def waiting(self) -> bool:
        """A board ends what it has in hand."""
        return False

    def description(self, topics: DeviceTopics) -> dict[str, Any]:
        """The Thing Description, with the sizes that the board states."""
        return self.profile.thing_description(
            topics.device,
            site=topics.site,
            arena=self._info.arena,
            slot=self._info.slot,
            running=self._info.active,
        )

    def train(self, artefact: bytes, plan: Plan) -> TrainResult:
        """Send the base, or only its weights where the board holds the rest; train; read back."""
        artifact = Artifact(artefact)
        _ = artifact.chain  # a board has no runtime for what its learner does not know
        layout, base = layout_of(artifact, plan)
        steps = plan.steps
        kind: dict[str, Any] = {
            "train_layers": layout.train_layers,
            "standardise": layout.standardise,
        }
        with self._board():
            retries = self._client.retries
            held = self._held is not None and self._held == self._client.hello().active
            if held and layout == self._layout:
                self._layout = None
                self._client.set_parameters(base, **kind, steps=steps)
            else:
                self._layout = None
                self._client.upload_artifact(artefact, keep=False)
                self._client.reset_learner(**kind, steps=steps)
                self._held = self._client.hello().active
            self._layout = layout
            before = self._totals()
            done = self._client.train(
                plan.samples, rate=plan.rate, epochs=plan.epochs, **kind, **asdict(steps)
            )
            after = self._totals()
            trained = self._client.get_parameters()
            retries = self._client.retries - retries
        return TrainResult(
            trained - base,
            done.learnt,
            done.loss_first,
            done.loss_mean,
            done.loss_last,
            {
                "serial_retries": float(retries),
                **({"unlabelled": float(done.unlabelled)} if done.unlabelled else {}),
                **{name: after[name] - before.get(name, 0.0) for name in after},
            },
        )

    def deploy(self, artefact: bytes) -> Outcome:
        """Upload, have the board verify and switch; the old one stays in the other slot.

        The board switches only if it gives the answer that this machine's learner gives, and it
        starts with the weights of the artefact.
        """
        with self._board():
            self._layout = None
            test = _self_test(artefact, self._client.hello().slot)
            self._client.upload_artifact(artefact, keep=False, self_test=test)
            self._client.reset_learner()
        return {"running": self.running or "", "bytes": len(artefact)}

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model as it is on the board now."""
        with self._board():
            return self._client.predict(x)

    def evaluate(self, samples: int) -> Outcome:
        """Mean loss, right answers (0 for regression) and count on own samples."""
        with self._board():
            found = self._client.evaluate(samples)
        return {"loss": found.loss_mean, "correct": found.correct, "samples": found.samples}

    def rollback(self) -> Outcome:
        """Go back to the artefact in the other slot."""
        with self._board():
            self._layout = None
            self._client.rollback()
        return {"running": self.running or ""}

    def watch(self, samples: int, plan: Plan, watching: Watching | None = None) -> WatchResult:
        """Infer on own samples, and learn as planned while their losses have drifted.

        The weights go on from what the board holds; see `BoardClient.watch`.
        """
        with self._board():
            return self._client.watch(
                samples,
                rate=plan.rate,
                watching=watching,
                train_layers=plan.train_layers,
                standardise=plan.standardise,
                **asdict(plan.steps),
            )

    def add_class(self, index: int | None = None) -> int:
        """Put a spare class into use; see `BoardClient.add_class`."""
        with self._board():
            return self._client.add_class(index)

    def stop(self) -> None:
        """Nothing: a board takes its samples by itself."""

    def close(self) -> None:
        """Give the serial line back."""
        self._port.close()

    @contextlib.contextmanager
    def _board(self) -> Iterator[None]:
        """One use of the line; afterwards what the board says of itself is fresh."""
        with self._lock:
            try:
                yield
            except BoardError as error:
                if error.status in _SHORT:
                    raise DoesNotFit(
                        error.message,
                        needed=error.needed,
                        available=error.available,
                        hint=error.hint,
                    ) from error
                raise
            finally:
                with contextlib.suppress(BoardError):
                    self._info = self._client.hello()

    def _totals(self) -> dict[str, float]:
        return {} if self._meters is None else dict(self._meters())


def _self_test(artefact: bytes, slot: int) -> SelfTest | None:
    """None for a model that is not ours to judge, or where the answer has no room in the slot."""
    try:
        test = SelfTest.of(artefact)
    except (ArtifactError, LearnerError):
        return None
    return test if len(artefact) + 3 + len(test.data) <= slot else None


def _unknown(info: BoardInfo) -> DeviceProfile:
    """The profile of a board of which we know only what it says."""
    return DeviceProfile(
        name=info.board,
        title=info.board,
        manufacturer="unknown",
        core=cast("Core", f"cortex-{info.core}"),
        flash=0,
        ram=0,
        clock_hz=0,
        fpu=info.core in ("m4f", "m7", "m33", "m55"),
    )
