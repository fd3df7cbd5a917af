import base64
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.messages import Offer, Update
from server.cli.app import main
from server.energy import training_energy
from server.evaluate import Adaptation, each_client
from server.journal import Journal
from server.presets import ADAPTATION
from server.report.panels import PANELS, byte_text, svg
from server.report.run_report import page_of
from server.report.view import view_of
from server.run import RunFolder
from server.simulate import new_model
from server.tasks import get_task
from tests.server.recorded import record

FAST = ["--clients", "3", "--seeds", "1"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return record(tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def view(folder):
    return view_of(folder, clients=4, seeds=(0, 1), pool_steps=100)


def test_a_view_is_what_the_journal_says(folder, view):
    with Journal(RunFolder(folder).journal) as journal:
        updates = journal.updates("one")
        model = journal.artifact(journal.current("one"))
    assert view.bytes_up == sum(row.bytes for row in updates) > 0
    assert view.steps == 4 * 3 * 10 * 16 and len(updates) == 12
    assert view.learning("after") == [(1, 4.0), (2, 2.0), (3, pytest.approx(4 / 3)), (4, 1.0)]
    how = Adaptation(**ADAPTATION["sine"])
    expected = each_client(get_task("sine"), model, how, clients=4, seeds=(0, 1))
    np.testing.assert_array_equal(view.pairs, expected)


def test_bytes_are_those_on_the_wire(tmp_path, monkeypatch):
    up, down = [], []
    coded, offered = Update.encode, Offer.encode
    monkeypatch.setattr(Update, "encode", lambda self: up.append(coded(self)) or up[-1])
    monkeypatch.setattr(Offer, "encode", lambda self: down.append(offered(self)) or down[-1])
    path = record(tmp_path / "r", rounds=2)
    monkeypatch.undo()
    view = view_of(path, clients=1, seeds=(0,))
    sizes = [len(payload) for payload in down]
    model = len(new_model(get_task("sine")).data)
    assert view.bytes_up == sum(map(len, up))
    assert [entry.down for entry in view.traffic] == [3 * (model + size) for size in sizes]


def test_compression_takes_fewer_bytes_up_and_as_many_down(view, tmp_path):
    small = view_of(record(tmp_path / "small", top_p=0.1, bits=8), clients=1, seeds=(0,))
    assert small.bytes_up < 0.2 * view.bytes_up
    assert small.bytes_down == pytest.approx(view.bytes_down, rel=0.01)


def test_energy_grows_with_the_steps(view):
    pytest.importorskip("unicorn")
    plan = view.rounds[0].plan
    assert view.energy is not None and view.energy.steps == view.steps
    assert view.energy.joules == pytest.approx(view.steps * view.energy.step)
    assert 0.5e-6 < view.energy.step < 20e-6  # the benchmark of a 1-40-40-1 step says 2.5 uJ
    assert training_energy(b"no model", plan, steps=1) is None


def test_the_page_holds_everything_in_itself(view):
    page = page_of(view).html()
    assert not re.search(r"(src|href)=.(?!data:)", page)
    for text in (*PANELS, "Beside its baselines", "pooled, adapted", "dev-2", view.sha256):
        assert text in page
    drawn = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)
    assert len(drawn) == len(PANELS)
    assert all(b"<svg" in base64.b64decode(each) for each in drawn)
    assert page_of(view).html() == page


def test_every_client_is_a_dot(view):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    PANELS["Unseen clients"](axes, view)
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    after = view.pairs[:, :, 1].mean(axis=1)
    np.testing.assert_allclose(dots[0].get_xdata(), after)
    assert svg(view, PANELS["Unseen clients"], wide=False).startswith(b"<?xml")


def test_the_command_writes_page_and_sheet(folder, capsys, tmp_path):
    out = tmp_path / "page.html"
    line = ["server", "report", str(folder), "--out", str(out), "--pdf", "--pooled", "50", *FAST]
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["files"] == [str(out), str(tmp_path / "page.pdf")]
    assert found["unseen clients"]["clients"] == 3 and found["rounds"] == 4
    assert out.read_text().startswith("<!doctype html>")
    assert (tmp_path / "page.pdf").read_bytes()[:5] == b"%PDF-"
    assert main(["server", "report", str(folder), "--pooled", "0", *FAST]) == 0
    assert (folder / "overview.html").is_file()


def test_a_run_without_clients_here_is_told_without_them(tmp_path, capsys):
    path = record(tmp_path / "own", named="own")
    line = ["server", "report", str(path), "--pdf", *FAST]
    assert main([*line, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["unseen clients"] is None is found["after"] and found["updates"] == 12
    page = (path / "overview.html").read_text()
    assert "Bytes on the wire" in page and "Training loss" in page and "dev-2" in page
    assert "Unseen clients" not in page and "Learning curve" not in page
    assert (path / "overview.pdf").read_bytes()[:5] == b"%PDF-"


@pytest.mark.parametrize("name", ["none", "empty"])
def test_a_folder_without_rounds_is_refused(tmp_path, capsys, name):
    record(tmp_path / "empty", status_only=True)
    assert main(["server", "report", str(tmp_path / name), *FAST]) == 2
    assert name in capsys.readouterr().err


def test_where_no_page_can_be_written_is_said(folder, capsys):
    assert main(["server", "report", str(folder), "--out", "/nowhere/p.html", *FAST]) == 2
    assert "/nowhere/p.html" in capsys.readouterr().err


@given(st.integers(0, 10**16))
def test_bytes_for_people_are_near_the_count(count):
    number, unit = byte_text(count).split()
    power = ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert float(number) * 1000**power == pytest.approx(count, rel=0.01)


def test_the_status_tells_the_losses_and_who_did_not_answer(tmp_path, capsys):
    path = record(tmp_path / "own", named="own", lost=2)
    with Journal(RunFolder(path).journal) as journal:
        losses = [loss for _, loss in journal.curve("own", "loss_mean")]
    assert main(["server", "status", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["training loss, first round"] == pytest.approx(losses[0], abs=1e-4)
    assert found["training loss, last round"] == pytest.approx(losses[-1], abs=1e-4)
    assert losses[0] != losses[-1] and found["updates accepted"] == 9
    reason = "no answer: it went offline"
    assert found["refused"] == [{"round": 2, "device": "dev-0", "reason": reason}]
    assert main(["server", "status", str(path)]) == 0
    shown = capsys.readouterr().out
    assert reason in shown and "--task own --data" in shown
    assert reason in page_of(view_of(path)).html()
