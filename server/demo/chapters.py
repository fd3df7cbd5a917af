"""What the demo measures once the rounds are done, each as a table with its verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.artifact import Artifact
from edge.board_protocol import BoardClient
from edge.errors import TinyfleetError
from edge.learner import OnlineLearner
from firmware_sim.device import SimulatedDevice
from ontology.match import fits
from ontology.namespaces import shorten
from server.conversions import register
from server.export_samples import trial_of_task
from server.exporting import ExportedFile, describe, export_model
from server.presets import ADAPTATION, SHOTS
from server.rollout import agreement, deploy
from server.run import Run
from server.simulate import simulate
from server.strategies import get_strategy
from server.tasks import EpisodeSensor
from server.unseen import evaluate_unseen

__all__ = [
    "Chapter",
    "answers",
    "deployment",
    "emulated_newcomer",
    "exporting",
    "more_rounds",
    "newcomers",
]

NEWCOMER_BOARD = "nano33ble"
CHECKED_INPUTS = 10
MORE_ROUNDS = 1000


@dataclass(frozen=True)
class Chapter:
    """A result: a table, or preformatted text, under a title; `ok` says whether it holds."""

    title: str
    header: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = field(default=())
    body: str = ""
    ok: bool = True

    def text(self) -> str:
        """The chapter for a terminal."""
        cells = [[_cell(c) for c in row] for row in (self.header, *self.rows) if row]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.header))]
        lines = [
            "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        return "\n".join(part for part in (self.title, *lines, self.body) if part)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def newcomers(run: Run, model: Artifact) -> Chapter:
    """Unseen clients before and after adapting, beside training from scratch."""
    found = evaluate_unseen(run.task, model)
    how = ADAPTATION[run.task.name]
    samples = how["shots"] * run.task.ways
    rows: list[list[Any]] = [
        [f"federated model, {samples} samples learnt online", found.after],
        ["federated model, not adapted", found.before],
        [f"from scratch, the same {samples} samples", found.scratch],
        [f"from scratch, {found.more} passes over them", found.scratch_more],
    ]
    title = f"{found.metric} of {found.after.clients} unseen clients, mean [95 % interval]"
    gain = found.after.mean - found.scratch.mean
    better = gain > 0 if run.task.higher_is_better else gain < 0
    verdict = "better" if better else "NOT better"
    body = f"On the same samples the federated start is {verdict} than a fresh one ({gain:+.3f})."
    return Chapter(title, ["start", found.metric], rows, body)


def emulated_newcomer(run: Run, model: Artifact) -> Chapter:
    """One unseen device, emulated, adapts; its weights are held against the host library's."""
    how = ADAPTATION[run.task.name]
    client = run.task.client(0, "test")
    samples = how["shots"] * run.task.ways
    with SimulatedDevice(
        NEWCOMER_BOARD,
        device_id="newcomer",
        sensor=EpisodeSensor(client, shots=SHOTS[run.task.name], seed=1),
        count_instructions=True,
    ) as device:
        board = BoardClient(device.port)
        board.upload_artifact(model.data)
        before = device.instructions
        board.train(samples, rate=how["rate"], epochs=1)
        per_step = (device.instructions - before) // samples
        weights = board.get_parameters()
        peak = device.peak_stack
    host = OnlineLearner(model.data)
    sensor = EpisodeSensor(client, shots=SHOTS[run.task.name], seed=1)
    for _ in range(samples):
        host.learn_one(*sensor.next_sample(), rate=how["rate"])
    same = weights.tobytes() == host.parameters.tobytes()
    rows: list[list[Any]] = [
        ["weights equal the host library's, bit for bit", "yes" if same else "NO"],
        ["instructions a learnt sample, sensor line included", f"{per_step:,}"],
        ["peak stack, bytes", peak],
    ]
    title = f"The same on an emulated {NEWCOMER_BOARD} (Cortex-M4F)"
    return Chapter(title, ["measured", "value"], rows, ok=same)


def more_rounds(run: Run, model: Artifact) -> Chapter:
    """The same rounds go on in this process, with simulated devices and the same learner."""
    options = dict(run.config.strategy_options) | {"first_outer_rate": 0.5}
    strategy = get_strategy(run.config.strategy, **options)
    found = simulate(run.task, strategy, MORE_ROUNDS, seed=run.config.settings.seed, base=model)
    after = evaluate_unseen(run.task, found.artifact).after
    rows: list[list[Any]] = [
        [f"{run.task.metric} of the same unseen clients, learnt online", after],
        ["client updates a second", f"{found.updates / found.seconds:,.0f}"],
    ]
    title = f"If the rounds went on: {MORE_ROUNDS} more with simulated devices, the same learner"
    return Chapter(title, ["measured", "value"], rows)


def exporting(run: Run, model: Artifact) -> tuple[list[ExportedFile], Chapter]:
    """Write float32 and int8 files, checked in every runtime that is installed."""
    name = run.model_name
    about = describe(name, run.task, run=run.config.run, round=run.config.settings.rounds)
    files = export_model(model, run.folder.models, about, trial_of_task(run.task, model.spec))
    register(run.keeper, files, model, name=name, task=run.config.task)
    rows = [[f.file, f"{f.bytes:,}", f"{f.sqnr or 0:.1f}", f.sha256[:12]] for f in files]
    title = "Every runtime agrees within its bound; details in models/parity.md"
    return files, Chapter(title, ["file", "bytes", "SQNR dB", "sha256"], rows)


def deployment(run: Run, files: Sequence[ExportedFile]) -> Chapter:
    """Float32 to every device that can train it, int8 to those that can only run it."""
    trained, small = (
        Artifact(Path(f.path).read_bytes())
        for name in ("model.f32.tflite", "model.int8.tflite")
        for f in files
        if f.file == name
    )
    able = {str(row["device"]) for row in run.catalog.query("cohort", model=trained.sha256)}
    runs = {
        str(row["device"]) for row in run.catalog.query("devices-for-model", model=small.sha256)
    }
    rows, good = [], True
    episode = run.task.client(0, "test").episode(
        np.random.default_rng(5), shots=1, queries=CHECKED_INPUTS
    )
    x = episode.query_x[:CHECKED_INPUTS]
    for iri in sorted(able | runs):
        device = iri.rsplit(":", 1)[1]
        artifact = trained if iri in able else small
        outcome = deploy(run.transport, artifact, [device], keeper=run.keeper)[0]
        verdict, difference = outcome.reason or "refused", "-"
        if outcome.ok:
            try:
                found = agreement(run.transport, artifact, device, x)
                verdict = f"agrees with {found.runtime}" if found.ok else "DISAGREES"
                difference = f"{found.largest:.1e} of {found.bound:.1e}"
                good = good and found.ok
            except TinyfleetError as error:
                verdict, good = error.message, False
        rows.append([device, artifact.dtype, "yes" if outcome.ok else "no", verdict, difference])
        good = good and outcome.ok
    header = ["device", "model", "deployed", "answers", "largest difference, of what is allowed"]
    title = f"{len(rows)} deployments, {len(x)} inputs each"
    return Chapter(title, header, rows, ok=good)


def answers(run: Run, files: Sequence[ExportedFile], *, too_small: str | None) -> Iterator[Chapter]:
    """Four SPARQL answers, and why one device does not fit."""
    newest = next(f.sha256 for f in files if f.file == "model.f32.tflite")
    run.keeper.flush()
    ask = run.catalog.query
    yield Chapter("Who runs which version?", body=ask("who-runs-what").to_table())
    yield Chapter("Where does the int8 export fit?", body=_where(run, files))
    board = too_small or next(str(row["device"]) for row in ask("fleet"))
    name = shorten(board)
    exported = {f"urn:sha256:{f.sha256}" for f in files}
    fitting = ask("models-for-device", device=board).where("model", exported)
    yield Chapter(f"Which of the exported models fit {name}?", body=fitting.to_table())
    lineage = _first_rows(ask("lineage", model=newest).to_table(), 6)
    yield Chapter("Where does the newest model come from?", body=lineage)
    if too_small is not None:
        reasons = [m for m in fits(run.catalog, model=newest, device=too_small) if m.reasons]
        yield Chapter(
            f"Why does {name} not train {run.model_name}-float32?",
            body="\n".join("; ".join(match.reasons) for match in reasons),
        )


def _where(run: Run, files: Sequence[ExportedFile]) -> str:
    small = next(f.sha256 for f in files if f.file == "model.int8.tflite")
    return run.catalog.query("devices-for-model", model=small).to_table()


def _first_rows(table: str, rows: int) -> str:
    lines = table.splitlines()
    more = len(lines) - rows - 2
    return "\n".join(lines[: rows + 2] + ([f"... and {more} more"] if more > 0 else []))
