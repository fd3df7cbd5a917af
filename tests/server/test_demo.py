"""The main job from beginning to end, stopped by Ctrl-C and gone on with."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge.artifact import Artifact
from server.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "server.cli", *map(str, arguments)]


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=400
    )


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that work in a folder, as a run's whole fleet does."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder:
                line = (entry / "cmdline").read_bytes()
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


def test_ctrl_c_stops_the_demo_cleanly_and_resume_finishes_it(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        command("demo", "--rounds", "6", "--out", tmp_path / "runs"),
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    journal = tmp_path / "runs" / "latest" / "journal.db"
    end = time.monotonic() + 120
    while time.monotonic() < end and _rounds_closed(journal) < 2:
        time.sleep(0.2)
    demo.send_signal(signal.SIGINT)
    out, error = demo.communicate(timeout=60)
    assert demo.returncode == 130, error
    assert "server resume" in out
    assert processes_of(tmp_path) == []
    done = _rounds_closed(journal)
    assert 2 <= done < 6

    resumed = run("server", "resume", tmp_path / "runs" / "latest", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    folder = (tmp_path / "runs" / "latest").resolve()
    with Journal(journal) as opened:
        row = opened.runs()[0]
        rounds = opened.rounds(row.run)
        assert row.status == "done"
        assert [entry.round for entry in rounds] == [1, 2, 3, 4, 5, 6]
        for before, after in itertools.pairwise(rounds):
            assert after.base == before.result
        newest = opened.current(row.run)
    assert Artifact((folder / "models" / "trained.tflite").read_bytes()).sha256 == newest
    assert (folder / "learning-curve.png").read_bytes().startswith(b"\x89PNG")
    assert "bit for bit" in (folder / "report.html").read_text()
    assert "DISAGREES" not in resumed.stdout

    catalog = ("--catalog", folder / "catalog")
    fleet = run("catalog", "query", "fleet", *catalog, "--json", cwd=tmp_path)
    rows = json.loads(fleet.stdout)["results"]["bindings"]
    assert len(rows) == 9
    assert {row["core"]["value"] for row in rows} >= {"cortex-m0", "cortex-m3", "cortex-m4f"}
    lineage = run(
        "catalog", "query", "lineage", "--param", f"model={newest}", *catalog, "--csv", cwd=tmp_path
    )
    assert len(lineage.stdout.splitlines()) == 1 + 6 + 1  # header, six rounds, the first model
    status = run("server", "status", folder, "--json", cwd=tmp_path)
    assert json.loads(status.stdout)["rounds"] == "6 of 6"


def test_kill_9_leaves_nothing_running_and_resume_goes_on(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        command("demo", "--rounds", "4", "--out", tmp_path / "runs"),
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = tmp_path / "runs" / "latest" / "journal.db"
    end = time.monotonic() + 120
    while time.monotonic() < end and _rounds_closed(journal) < 1:
        time.sleep(0.05)
    assert len(processes_of(tmp_path)) > 3
    demo.kill()
    demo.wait()
    end = time.monotonic() + 30
    while (left := processes_of(tmp_path)) and time.monotonic() < end:
        time.sleep(0.2)
    assert left == []
    resumed = run("server", "resume", tmp_path / "runs" / "latest", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    with Journal(journal) as opened:
        row = opened.runs()[0]
        assert row.status == "done"
        assert [entry.status for entry in opened.rounds(row.run)] == ["closed"] * 4


def _rounds_closed(journal: Path) -> int:
    if not journal.exists():
        return 0
    with Journal(journal) as opened:
        runs = opened.runs()
        return sum(r.status == "closed" for r in opened.rounds(runs[0].run)) if runs else 0
