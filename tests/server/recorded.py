"""A finished run in a folder, as `server run` leaves one, played by a fleet in this process."""

from server.journal import Journal
from server.presets import strategy_options
from server.rounds import Coordinator, Settings
from server.run import RunFolder
from server.simulate import new_model
from server.strategies import get_strategy
from server.tasks import EpisodeSensor, get_task
from server.transports.loopback import LoopbackDevice, LoopbackTransport, SensorWorker


def record(
    path, *, strategy="reptile", rounds=4, devices=3, status_only=False, named="sine", **options
):
    task = get_task("sine")
    found = strategy_options("sine", strategy, **options)
    fleet = [
        LoopbackDevice(
            f"dev-{i}", SensorWorker(EpisodeSensor(task.client(i, "train"), shots=10, seed=i))
        )
        for i in range(devices)
    ]
    folder = RunFolder(path).create()
    with Journal(folder.journal) as journal:
        coordinator = Coordinator(
            LoopbackTransport(fleet),
            journal,
            get_strategy(strategy, **found),
            Settings(rounds),
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
