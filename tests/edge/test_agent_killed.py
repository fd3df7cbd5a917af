import fcntl
import signal
import sys
import termios
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge.broker import LocalBroker, find_mosquitto
from edge.learner import OnlineLearner
from edge.learnt import LearntFiles
from edge.messages import Command, Plan
from edge.spec import ModelSpec
from tests.edge.hub import Hub
from tests.edge.killed import (
    Process,
    agent,
    answers,
    feed,
    kill,
    learnt_after,
    online,
    until,
    whole,
)
from tests.edge.models import model, samples, sha

pytestmark = pytest.mark.skipif(find_mosquitto() is None, reason="no Mosquitto")
LARGE = ModelSpec.mlp([6, 400, 400, 3], hidden="relu", output="softmax")
MOMENTS = ("*.model.new", "NEW.model", "index.json.new", "acknowledged")


def deployed(hub: Hub, data: bytes, name: str) -> str:
    base = hub.publish_model(data)
    assert hub.ask(Command("deploy", name, base=base), "k1").ok
    return base


def test_a_kill_between_two_steps_loses_none_that_was_kept(
    broker: LocalBroker, hub: Hub, tmp_path: Path
) -> None:
    data, state, (x, y) = model(), tmp_path / "state", samples()
    with agent(broker, state, "-", keep_every=0) as process:
        online(hub)
        base = deployed(hub, data, "a1")
        hub.offer(base, cohort=("k1",), plan=Plan("s", 0.1, 16))
        feed(process, x[:6], y[:6])
        until(lambda: LearntFiles(state).number == 6)
    hub.state("offline", "k1")
    hub.close_round()
    with agent(broker, state, "-"):
        assert online(hub) == base
        assert answers(hub, "a2", x).tobytes() == learnt_after(data, x, y, 0.1)[6].tobytes()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_steps_survive_a_sensor_that_pauses(
    broker: LocalBroker, hub: Hub, tmp_path: Path, end: signal.Signals
) -> None:
    """SIGKILL comes after `--keep-every`; the others may come at any time."""
    data, state, (x, y) = model(), tmp_path / "state", samples()
    with agent(broker, state, "-", keep_every=0.2 if end == signal.SIGKILL else 3600) as process:
        online(hub)
        base = deployed(hub, data, f"p{end.name}")
        hub.offer(base, cohort=("k1",), plan=Plan("s", 0.1, 16))
        feed(process, x[:6], y[:6])
        if end == signal.SIGKILL:
            until(lambda: made(state, base) == 6)
        else:
            until(lambda: not unread(process))
            time.sleep(0.1)
        process.send_signal(end)
        assert process.wait(10) == {"SIGKILL": -9, "SIGTERM": 0, "SIGINT": 130}[end.name]
    hub.state("offline", "k1")
    hub.close_round()
    steps = made(state, base)
    assert steps == 6 or end != signal.SIGKILL
    with agent(broker, state, "-"):
        assert online(hub) == base
        expected = learnt_after(data, x, y, 0.1)[steps].tobytes()
        assert answers(hub, f"p{end.name}2", x).tobytes() == expected
    log = state.with_suffix(".log").read_text()
    assert "Traceback" not in log
    assert (f"learnt before the restart: {steps} step" in log) == (steps > 0), log


def unread(process: Process) -> int:
    """Bytes on an agent's stdin that it has not taken."""
    assert process.stdin is not None
    size = fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4))
    return int.from_bytes(size, sys.byteorder)


def made(state: Path, base: str) -> int:
    """How many steps the folder's newest file holds."""
    return next((learnt.made for learnt, _ in LearntFiles(state).found(base)), 0)


def test_a_folder_belongs_to_one_agent(broker: LocalBroker, hub: Hub, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with agent(broker, state, "-") as first:
        online(hub)
        base = deployed(hub, model(), "t1")
        with agent(broker, state, "-", device="k2") as second:
            assert second.wait(20) == 2
        assert f"in use by process {first.pid}." in state.with_suffix(".log").read_text()
        assert hub.payloads("state", "k2") == []
        kill(first)
    hub.state("offline", "k1")
    with agent(broker, state, "-"):
        assert online(hub) == base


def test_what_was_answered_for_survives_whatever_the_interval(
    broker: LocalBroker, hub: Hub, tmp_path: Path
) -> None:
    data, state, (x, y) = model(), tmp_path / "state", samples()
    with agent(broker, state, "-", keep_every=3600) as process:
        online(hub)
        base = deployed(hub, data, "b1")
        hub.offer(base, cohort=("k1",), plan=Plan("s", 0.1, 9))
        feed(process, x[:9], y[:9])
        hub.update(device="k1")
        kill(process)
    hub.state("offline", "k1")
    hub.close_round()
    with agent(broker, state, "-") as process:
        assert online(hub) == base
        oracle = learnt_after(data, x, y, 0.1)
        assert answers(hub, "b2", x).tobytes() == oracle[9].tobytes()
        second = deployed(hub, model(2), "b3")
        kill(process)
    hub.state("offline", "k1")
    with agent(broker, state, "-"):
        assert online(hub) == second
        fresh = OnlineLearner(model(2)).predict_many(x)
        assert answers(hub, "b4", x).tobytes() == fresh.tobytes()


def killed_while_it_learns(broker: LocalBroker, hub: Hub, folder: Path, times: int) -> None:
    """The statistics count the samples seen, so the oracle can make just as many steps."""
    state, (x, y) = folder / "state", samples()
    np.savez(folder / "s.npz", x=x, y=y)
    plan, rng = Plan("s", 0.05, 2_000_000, standardise=True), np.random.default_rng(3)
    oracle = OnlineLearner(model())
    for i in range(times + 1):
        with agent(broker, state, str(folder / "s.npz"), keep_every=0.002) as process:
            assert online(hub) == (sha(model(i - 1)) if i else None)
            if i:
                expected = oracle.predict_many(x).tobytes()
                assert answers(hub, f"c{folder.name}{i}p", x).tobytes() == expected
            before = LearntFiles(state).number
            base = deployed(hub, model(i), f"c{folder.name}{i}")
            hub.offer(base, i + 1, cohort=("k1",), plan=plan)
            until(partial(written_since, state, before + 1))
            time.sleep(rng.uniform(0, 0.05))
            kill(process)
        hub.state("offline", "k1")
        hub.close_round()
        whole(state)
        learnt, kept = next(LearntFiles(state).found(base))
        assert kept == model(i)
        oracle = OnlineLearner(kept, standardise=True)
        at = np.arange(learnt.count) % len(x)
        oracle.learn_many(x[at], y[at], rate=0.05)
        assert learnt.parameters.tobytes() == oracle.parameters.tobytes()
        assert learnt.statistics.tobytes() == oracle.state()["statistics"].tobytes()


def written_since(state: Path, number: int) -> bool:
    return LearntFiles(state).number > number


def killed_in_the_swap(broker: LocalBroker, hub: Hub, folder: Path, times: int) -> None:
    """Where the swap is, is seen in the folder; the next life must run the old or the new."""
    state, old, new = folder / "state", None, None
    acknowledged, swapped, (x, _) = False, 0, samples()
    for i in range(times + 1):
        with agent(broker, state, "-") as process:
            running = online(hub)
            assert running in ((new,) if acknowledged else (old, new)), (i, running)
            if running is not None:
                whole(state)
                data = model(i - 1 if running == new else i - 2, LARGE)
                assert running == sha(data)
                expected = OnlineLearner(data).predict_many(x)
                assert answers(hub, f"d{folder.name}{i}p", x).tobytes() == expected.tobytes()
                swapped += running == new
            if running != new:  # the next one replaces what runs, whichever that is
                data = model(i - 1, LARGE)
                deployed(hub, data, f"d{folder.name}{i}r")
                running = sha(data)
            old, new = running, hub.publish_model(model(i, LARGE))
            moment = MOMENTS[i % len(MOMENTS)]
            command = Command("deploy", f"d{folder.name}{i}", base=new)
            if moment == "acknowledged":
                assert hub.ask(command, "k1").ok
            else:
                hub.client.publish("tinyfleet/v1/lab/k1/cmd", command.encode(), qos=1)
                until(partial(swapping, state, moment.replace("NEW", new), new))
            acknowledged = moment == "acknowledged"
            kill(process)
        hub.state("offline", "k1")
    assert swapped


def swapping(state: Path, pattern: str, new: str) -> bool:
    """Whether that moment has come, or all is over."""
    index = state / "index.json"
    return any(state.glob(pattern)) or (index.is_file() and new in index.read_text())


def killed_in_the_download(broker: LocalBroker, hub: Hub, folder: Path, times: int) -> None:
    state, rng = folder / "state", np.random.default_rng(4)
    base = None
    for i in range(times):
        new = model(100 + i, LARGE)
        with agent(broker, state, "-") as process:
            running = online(hub)
            assert running in (base, sha(model(99 + i, LARGE)))
            base = running or deployed(hub, model(), f"e{folder.name}0")
            command = Command("deploy", f"e{folder.name}{i + 1}", base=sha(new))
            hub.client.publish("tinyfleet/v1/lab/k1/cmd", command.encode(), qos=1)
            time.sleep(rng.uniform(0, 0.05))
            if i % 2:  # else it waits for what nobody has published
                hub.publish_model(new)
                time.sleep(rng.uniform(0, 0.01))
            kill(process)
        hub.state("offline", "k1")
        whole(state)
    with agent(broker, state, "-"):
        assert online(hub) in (base, sha(new))
        assert deployed(hub, new, f"e{folder.name}last") == sha(new)
        assert hub.state("online", "k1").running == sha(new)


def test_kills_while_it_learns(broker: LocalBroker, hub: Hub, tmp_path: Path) -> None:
    killed_while_it_learns(broker, hub, tmp_path, 3)


def test_kills_in_the_swap(broker: LocalBroker, hub: Hub, tmp_path: Path) -> None:
    killed_in_the_swap(broker, hub, tmp_path, 5)


def test_kills_in_the_download(broker: LocalBroker, hub: Hub, tmp_path: Path) -> None:
    killed_in_the_download(broker, hub, tmp_path, 3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "kills", [killed_while_it_learns, killed_in_the_swap, killed_in_the_download]
)
def test_many_kills(broker: LocalBroker, hub: Hub, tmp_path: Path, kills: object) -> None:
    assert callable(kills)
    kills(broker, hub, tmp_path, 40)


def test_an_agent_whose_files_are_all_cut_warns_and_comes_online(
    broker: LocalBroker, hub: Hub, tmp_path: Path
) -> None:
    state, (x, y) = tmp_path / "state", samples()
    np.savez(tmp_path / "s.npz", x=x, y=y)
    with agent(broker, state, str(tmp_path / "s.npz")) as process:
        online(hub)
        base = deployed(hub, model(), "f1")
        hub.offer(base, cohort=("k1",), plan=Plan("s", 0.1, 4))
        hub.update(device="k1")
        kill(process)
    hub.state("offline", "k1")
    hub.close_round()
    names = {path.name for path in state.iterdir()}
    assert names == {"index.json", "learnt-0", "lock", f"{base}.model", f"{base}.base"}
    for path in state.iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with agent(broker, state, str(tmp_path / "s.npz")):
        assert online(hub) is None
        deployed(hub, model(), "f2")
    log = state.with_suffix(".log").read_text()
    for name in ("index.json", "learnt-0", f"{base}.model"):
        told = [line for line in log.splitlines() if f"{name} is" in line and "damaged" in line]
        assert len(told) == 1, log
    assert "Traceback" not in log
