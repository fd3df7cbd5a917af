"""The journal's tables, and their rows as dataclasses."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from edge.messages import Plan

__all__ = [
    "MIGRATIONS", "SCHEMA", "VERSION", "RoundRow", "RoundStatus", "RunRow", "RunStatus",
    "UpdateRow", "round_row", "update_row",
]  # fmt: skip

VERSION = 3
"""Schema version, kept in the file's user_version."""

RunStatus = Literal["running", "stopped", "done", "failed"]
RoundStatus = Literal["open", "closed", "failed"]

SCHEMA = """
CREATE TABLE runs (run TEXT PRIMARY KEY, config TEXT NOT NULL, base TEXT NOT NULL,
    status TEXT NOT NULL, started REAL NOT NULL, ended REAL) STRICT;
CREATE TABLE rounds (run TEXT NOT NULL REFERENCES runs, round INTEGER NOT NULL,
    status TEXT NOT NULL, base TEXT NOT NULL, result TEXT, plan TEXT NOT NULL,
    cohort TEXT NOT NULL, outer_rate REAL NOT NULL, started REAL NOT NULL, ended REAL,
    metrics TEXT NOT NULL DEFAULT '{}', PRIMARY KEY (run, round)) STRICT;
CREATE TABLE updates (id INTEGER PRIMARY KEY, run TEXT NOT NULL, round INTEGER NOT NULL,
    device TEXT NOT NULL, accepted INTEGER NOT NULL, reason TEXT NOT NULL,
    samples INTEGER NOT NULL, loss_first REAL, loss_mean REAL, loss_last REAL,
    bytes INTEGER NOT NULL, meters TEXT NOT NULL, delta BLOB, time REAL NOT NULL,
    staleness INTEGER NOT NULL DEFAULT 0, turn INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (run, round) REFERENCES rounds) STRICT;
CREATE UNIQUE INDEX one_accepted ON updates (run, round, device, staleness, turn) WHERE accepted;
CREATE INDEX updates_of_round ON updates (run, round);
CREATE TABLE checkpoints (sha256 TEXT PRIMARY KEY, artifact BLOB NOT NULL) STRICT;
"""

MIGRATIONS = {
    1: """
ALTER TABLE updates ADD COLUMN staleness INTEGER NOT NULL DEFAULT 0;
DROP INDEX one_accepted;
CREATE UNIQUE INDEX one_accepted ON updates (run, round, device, staleness) WHERE accepted;
""",
    2: """
ALTER TABLE updates ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
DROP INDEX one_accepted;
CREATE UNIQUE INDEX one_accepted ON updates (run, round, device, staleness, turn) WHERE accepted;
""",
}
"""What makes a journal of a version one of the next."""


@dataclass(frozen=True)
class RunRow:
    """One run; `base` is the digest it started from, `config` whatever its starter needs."""

    run: str
    config: dict[str, Any]
    base: str
    status: RunStatus
    started: float
    ended: float | None


@dataclass(frozen=True)
class RoundRow:
    """One round; `result` is None while it is open, and `base` where it failed."""

    run: str
    round: int
    status: RoundStatus
    base: str
    result: str | None
    plan: Plan
    cohort: tuple[str, ...]
    outer_rate: float
    started: float
    ended: float | None
    metrics: dict[str, float]


@dataclass(frozen=True)
class UpdateRow:
    """One answer of a device: accepted, or rejected or declined with its reason.

    `staleness` is how many rounds before this one an accepted one began, `turn` how many of that
    device and beginning came before it.
    """

    run: str
    round: int
    device: str
    accepted: bool
    reason: str
    samples: int = 0
    loss_first: float | None = None
    loss_mean: float | None = None
    loss_last: float | None = None
    bytes: int = 0
    meters: Mapping[str, float] | None = None
    time: float = 0.0
    staleness: int = 0
    turn: int = 0


def round_row(row: sqlite3.Row) -> RoundRow:
    """Read a row of `rounds`."""
    found = dict(row)
    return RoundRow(
        **{
            **found,
            "plan": Plan.from_map(json.loads(row["plan"])),
            "cohort": tuple(json.loads(row["cohort"])),
            "metrics": json.loads(row["metrics"]),
        }
    )


def update_row(row: sqlite3.Row) -> UpdateRow:
    """Read a row of `updates`, without its delta."""
    found = dict(row)
    return UpdateRow(
        **{**found, "accepted": bool(row["accepted"]), "meters": json.loads(row["meters"])}
    )
