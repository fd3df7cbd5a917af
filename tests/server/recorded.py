"""A finished run in a folder, as `server run` leaves one, played by a fleet in this process."""

from edge.messages import Offer
from server.journal import Journal
from server.presets import strategy_options
from server.rounds import Coordinator, Settings
from server.run import RunFolder
from server.simulate import new_model
from server.strategies import get_strategy
from server.tasks import EpisodeSensor, get_task
from server.transports.loopback import LoopbackDevice, LoopbackTransport, SensorWorker


class Mortal(LoopbackDevice):
    """A device that goes away in a round, and does not come back."""

    lost = None

    def answer(self, offer, fetch):
        gone = Offer.decode(offer).round == self.lost
        return None if gone else super().answer(offer, fetch)


def record(
    path, *, strategy="reptile", rounds=4, devices=3, status_only=False, named="sine", lost=None,
    **options,
):  # fmt: skip
    task = get_task("sine")
    found = strategy_options("sine", strategy, **options)
    fleet = [
        Mortal(f"dev-{i}", SensorWorker(EpisodeSensor(task.client(i, "train"), shots=10, seed=i)))
        for i in range(devices)
    ]
    fleet[0].lost = lost
    folder = RunFolder(path).create()
    with Journal(folder.journal) as journal:
        coordinator = Coordinator(
            LoopbackTransport(fleet),
            journal,
            get_strategy(strategy, **found),
            Settings(rounds, grace=0.05),
            run=path.name,
            base=new_model(task),
            cohort=[device.device for device in fleet],
            config={"task": named, "site": "default", "evaluate_every": 1, "fleet": {}},
            evaluate=lambda number, model: {
                "mse_before": 5.0 / number, "mse_after": 4.0 / number, "mse_scratch": 4.5,
            },
        )  # fmt: skip
        if not status_only:
            coordinator.run()
    return path
