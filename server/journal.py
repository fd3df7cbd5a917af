"""The journal of runs: a SQLite file from which every round can be resumed and replayed.

Each call is one transaction that is on disk when it returns (WAL, synchronous=FULL), so a
process killed at any point loses nothing that was acknowledged.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from edge.errors import UsageError
from edge.record import plain
from server.journal_rows import (
    MIGRATIONS,
    SCHEMA,
    VERSION,
    RoundRow,
    RunRow,
    RunStatus,
    UpdateRow,
    round_row,
    update_row,
)
from server.strategies.base import Contribution

__all__ = ["VERSION", "Journal", "RoundRow", "RunRow", "RunStatus", "UpdateRow"]


class Journal:
    """The journal, as a context manager.

    Args:
        path: SQLite file, made if absent; `:memory:` for one that is not kept.

    Raises:
        UsageError: the file is not a journal, or one of another version.
    """

    def __init__(self, path: Path | str) -> None:
        """Open or make the file."""
        self.path = path
        try:
            self._db = sqlite3.connect(
                path, timeout=30, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise UsageError(
                f"{path} cannot be opened: {error}.", hint="a folder that exists"
            ) from error
        self._db.row_factory = sqlite3.Row
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise UsageError(
                f"{path} is not a journal: {error}.", hint="runs/<id>/journal.db"
            ) from error
        except UsageError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA foreign_keys=ON")
        with self._transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self._change(SCHEMA)
            elif version in MIGRATIONS:
                for older in range(version, VERSION):
                    self._change(MIGRATIONS[older])
            elif version != VERSION:
                raise UsageError(
                    f"{self.path} is a journal of version {version}, {VERSION} is read here.",
                    hint="the tinyfleet version that wrote it",
                )

    def _change(self, statements: str) -> None:
        for statement in statements.split(";"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version={VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # What happens, in order.

    def begin_run(
        self, run: str, config: Mapping[str, Any], *, base: str, artifact: bytes, time: float
    ) -> None:
        """Enter a new run and the artefact it starts from.

        Raises:
            UsageError: the run is there already.
        """
        if any(row.run == run for row in self.runs()):
            raise UsageError(
                f"run {run!r} is in {self.path} already.", hint="resume, or another id"
            )
        with self._transaction():
            self._keep(base, artifact)
            self._db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, 'running', ?, NULL)",
                (run, json.dumps(config, sort_keys=True), base, time),
            )

    def set_status(self, run: str, status: RunStatus, *, time: float | None = None) -> None:
        """Note that a run goes on (`running`), was stopped, is done or has failed."""
        with self._transaction():
            self._db.execute("UPDATE runs SET status=?, ended=? WHERE run=?", (status, time, run))

    def open_round(self, row: RoundRow) -> None:
        """Enter a round before it is offered."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO rounds VALUES (?,?,'open',?,NULL,?,?,?,?,NULL,'{}')",
                (row.run, row.round, row.base, json.dumps(plain(row.plan.to_map()), sort_keys=True),
                 json.dumps(row.cohort), row.outer_rate, row.started),
            )  # fmt: skip

    def add_update(self, row: UpdateRow, delta: np.ndarray[Any, Any] | None = None) -> None:
        """Enter an answer; `delta` is the float32 [n] of an accepted one."""
        blob = None if delta is None else np.ascontiguousarray(delta, "<f4").tobytes()
        with self._transaction():
            self._add(row, blob)

    def _add(self, row: UpdateRow, blob: bytes | None) -> None:
        self._db.execute(
            "INSERT INTO updates VALUES (NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (row.run, row.round, row.device, int(row.accepted), row.reason, row.samples,
             row.loss_first, row.loss_mean, row.loss_last, row.bytes,
             json.dumps(dict(row.meters or {}), sort_keys=True), blob, row.time, row.staleness,
             row.turn),
        )  # fmt: skip

    def close_round(
        self,
        run: str,
        round: int,
        *,
        result: str,
        artifact: bytes,
        metrics: Mapping[str, float],
        time: float,
        failed: bool = False,
        silent: Sequence[UpdateRow] = (),
    ) -> None:
        """Enter the end of a round together with its checkpoint, and who did not answer in it."""
        with self._transaction():
            self._keep(result, artifact)
            for row in silent:
                self._add(row, None)
            self._db.execute(
                "UPDATE rounds SET status=?, result=?, metrics=?, ended=? WHERE run=? AND round=?",
                ("failed" if failed else "closed", result, json.dumps(dict(metrics)), time, run,
                 round),
            )  # fmt: skip

    def _keep(self, sha256: str, artifact: bytes) -> None:
        self._db.execute("INSERT OR IGNORE INTO checkpoints VALUES (?, ?)", (sha256, artifact))

    # What was.

    def run(self, run: str) -> RunRow:
        """One run.

        Raises:
            UsageError: there is none of that name.
        """
        row = self._db.execute("SELECT * FROM runs WHERE run=?", (run,)).fetchone()
        if row is None:
            names = ", ".join(entry.run for entry in self.runs()) or "none yet"
            raise UsageError(f"no run {run!r} in {self.path}.", hint=f"one of: {names}")
        return RunRow(**{**dict(row), "config": json.loads(row["config"])})

    def runs(self) -> list[RunRow]:
        """All runs, oldest first."""
        rows = self._db.execute("SELECT run FROM runs ORDER BY started, run").fetchall()
        return [self.run(row["run"]) for row in rows]

    def rounds(
        self, run: str, *, newest: int | None = None, upto: int | None = None
    ) -> list[RoundRow]:
        """The rounds of a run in order, or only the newest so many of them, up to a number."""
        rows = self._db.execute(
            "SELECT * FROM rounds WHERE run=?1 AND (?3 IS NULL OR round<=?3)"
            " ORDER BY round DESC LIMIT ?2",
            (run, -1 if newest is None else newest, upto),
        ).fetchall()
        return [round_row(row) for row in reversed(rows)]

    def updates(self, run: str, round: int | None = None) -> list[UpdateRow]:
        """The answers of a run, or of one round of it, in the order they came."""
        rows = self._db.execute(
            "SELECT run, round, device, accepted, reason, samples, loss_first, loss_mean,"
            " loss_last, bytes, meters, time, staleness, turn FROM updates"
            " WHERE run=?1 AND (?2 IS NULL OR round=?2) ORDER BY id",
            (run, round),
        )
        return [update_row(row) for row in rows]

    def contributions(self, run: str, round: int) -> list[Contribution]:
        """The accepted updates of a round, by device name."""
        rows = self._db.execute(
            "SELECT device, delta, samples, staleness, turn FROM updates"
            " WHERE run=? AND round=? AND accepted ORDER BY device, staleness, turn",
            (run, round),
        )
        return [
            Contribution(
                row["device"],
                np.frombuffer(row["delta"], "<f4"),
                row["samples"],
                row["staleness"],
                row["turn"],
            )
            for row in rows
        ]

    def rejected(self, run: str) -> list[UpdateRow]:
        """Every answer that was not accepted, each with its reason."""
        return [row for row in self.updates(run) if not row.accepted]

    def curve(self, run: str, metric: str) -> list[tuple[int, float]]:
        """The learning curve: (round, value) wherever a round has that metric."""
        return [
            (row.round, row.metrics[metric]) for row in self.rounds(run) if metric in row.metrics
        ]

    def contributors(self, run: str) -> dict[str, tuple[int, int]]:
        """For each device: updates that counted, and samples learnt in them."""
        rows = self._db.execute(
            "SELECT device, COUNT(*) AS n, SUM(samples) AS samples FROM updates"
            " WHERE run=? AND accepted GROUP BY device ORDER BY device",
            (run,),
        )
        return {row["device"]: (row["n"], row["samples"]) for row in rows}

    def artifact(self, sha256: str) -> bytes:
        """A checkpoint's artefact.

        Raises:
            UsageError: there is none with that digest.
        """
        row = self._db.execute(
            "SELECT artifact FROM checkpoints WHERE sha256=?", (sha256,)
        ).fetchone()
        if row is None:
            raise UsageError(f"no checkpoint {sha256[:80]} in {self.path}.")
        return bytes(row["artifact"])

    def current(self, run: str) -> str:
        """Digest of the newest model of a run."""
        row = self._db.execute(
            "SELECT result FROM rounds WHERE run=? AND result IS NOT NULL"
            " ORDER BY round DESC LIMIT 1",
            (run,),
        ).fetchone()
        return str(row["result"]) if row is not None else self.run(run).base
