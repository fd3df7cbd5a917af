"""A small fleet in this process, with devices that misbehave on demand."""

import dataclasses

import numpy as np

from edge.artifact import Artifact
from edge.messages import Decline, Offer, decode_update
from edge.spec import ModelSpec
from server.export import tflite
from server.strategies import get_strategy
from server.transports.loopback import LoopbackDevice, LoopbackTransport, SensorWorker

SPEC = ModelSpec.mlp([3, 8, 1], hidden="tanh", output="linear")


def a_model(seed=0):
    return Artifact(tflite.write(SPEC, SPEC.initial(seed), name="small"))


class LineSensor:
    """Samples of one random plane; every device has its own."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.plane = self.rng.normal(size=3).astype(np.float32)
        self.drawn, self.at = [], 0

    def next_sample(self):
        if self.at == len(self.drawn):
            self.drawn.append(self.rng.normal(size=3).astype(np.float32))
        x = self.drawn[self.at]
        self.at += 1
        return x, np.array([x @ self.plane], np.float32)

    def rewind(self):
        self.at = 0


class Device(LoopbackDevice):
    """A device whose answers pass through `change` (offer, update) -> payloads or None."""

    def __init__(self, name, seed, change=None, memory=None):
        super().__init__(name, SensorWorker(LineSensor(seed), memory=memory))
        self.change = change

    def answer(self, offer, fetch):
        payloads = super().answer(offer, fetch)
        if self.change is None:
            return payloads
        return self.change(Offer.decode(offer), decode_update(payloads[0]))


def a_fleet(n=4, **changes):
    return [Device(f"d{i}", 100 + i, changes.get(f"d{i}")) for i in range(n)]


def altered(**fields):
    return lambda offer, update: [dataclasses.replace(update, **fields).encode()]


def declining(offer, update):
    return [
        Decline(
            update.device, offer.run, offer.round, offer.base, offer.id, "RAM", 900, 20
        ).encode()
    ]


def replayed(journal, strategy, model, run="r"):
    """The model that a journal's updates lead to; each may count once, each round as it says."""
    seen, strategy = set(), get_strategy(strategy.name, **strategy.options())
    for row in journal.rounds(run):
        if row.status == "open":
            break
        assert row.base == model.sha256
        updates = journal.contributions(run, row.round)
        keys = {(one.device, row.round - one.staleness, one.turn) for one in updates}
        assert len(keys) == len(updates) and not keys & seen
        seen |= keys
        if row.status == "closed" and updates:
            moved = strategy.aggregate(model.parameters(), updates, row.outer_rate)
            model = model.with_parameters(moved)
        assert row.result == model.sha256
        assert journal.artifact(row.result) == model.data
    return model


__all__ = [
    "SPEC", "Device", "LineSensor", "LoopbackTransport", "a_fleet", "a_model", "altered",
    "declining", "replayed",
]  # fmt: skip
