"""The state of a run in a few figures."""

from typing import Any

from server.journal import Journal, RoundRow
from server.run import read_config

__all__ = ["summary"]


def summary(journal: Journal) -> dict[str, Any]:
    """What a journal says of its newest run, ready for a table or JSON."""
    config = read_config(journal)
    row = journal.run(config.run)
    rounds = journal.rounds(config.run)
    ended = [entry for entry in rounds if entry.status != "open"]
    measured = [entry for entry in ended if any("_after" in name for name in entry.metrics)]
    figures = {
        name: round(value, 4)
        for entry in measured[-1:]
        for name, value in entry.metrics.items()
        if "_" in name and not name.startswith("loss")
    }
    updates = journal.updates(config.run)
    return {
        "run": config.run,
        "status": row.status,
        "task": config.task,
        "strategy": config.strategy,
        "rounds": f"{len(ended)} of {config.settings.rounds}",
        "updates accepted": sum(update.accepted for update in updates),
        "bytes received": sum(update.bytes for update in updates),
        **figures,
        **_losses(ended),
        "model": journal.current(config.run),
        "refused": [
            {"round": entry.round, "device": entry.device, "reason": entry.reason}
            for entry in journal.rejected(config.run)
        ],
    }


def _losses(rounds: list[RoundRow]) -> dict[str, float]:
    """The mean training loss of the first and the last round that has one."""
    known = [row.metrics["loss_mean"] for row in rounds if "loss_mean" in row.metrics]
    which = {"first": known[:1], "last": known[-1:]}
    return {f"training loss, {at} round": round(x, 4) for at, found in which.items() for x in found}
