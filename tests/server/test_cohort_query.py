"""A SPARQL file says who takes part, from the command line to the boards."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.artifact import Artifact
from edge.broker import LocalBroker, find_mosquitto, has_amqtt
from edge.errors import UsageError
from ontology.catalog import Catalog
from ontology.namespaces import round_iri
from ontology.terms import Iri
from server.cli import main
from server.cohort_query import devices_by_query, read_query
from server.journal import Journal
from server.strategies import get_strategy

sys.path.insert(0, str(Path(__file__).parent))
from fleet import replayed

ROOT = Path(__file__).resolve().parents[2]
QUERY = ROOT / "examples" / "m4f-devices.rq"
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


PROGRAM = [sys.executable, "-c", "import sys; from server.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def link() -> Iterator[list[str]]:
    """Flags that lead to a site of two boards that the query names, and one that it does not."""
    if not (find_mosquitto() or has_amqtt()):
        pytest.skip("no broker here")
    boards = ["--board", "nano33ble", "--board", "pico", "--board", "nano33ble"]
    with LocalBroker() as broker:
        flags = ["--broker", broker.options.url, "--site", "lab"]
        command = [*PROGRAM, "sim", "run", *boards, "--task", "sine", *flags]
        fleet = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            yield flags
        finally:
            fleet.terminate()
            fleet.wait(10)


def run_flags(link: list[str], *more: str) -> list[str]:
    return [
        "server", "run", "--task", "sine", "--devices", "3", "--evaluate-every", "0",
        "--cohort", str(QUERY), *link, *more,
    ]  # fmt: skip


def test_only_those_that_the_query_names_take_part(link, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(run_flags(link, "--rounds", "2")) == 0
    with Journal(tmp_path / "runs" / "latest" / "journal.db") as journal:
        (run,) = journal.runs()
        assert [row.cohort for row in journal.rounds(run.run)] == [("mcu-1", "mcu-3")] * 2
        assert sorted(journal.contributors(run.run)) == ["mcu-1", "mcu-3"]
    with Catalog.open(tmp_path / "runs" / "latest" / "catalog", read_only=True) as catalog:
        known = catalog.query("fleet")
        assert len(list(known)) == 3  # the pico was there, and was not asked


def test_a_run_that_was_killed_goes_on_with_its_query_and_its_answers(
    link, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "runs" / "latest" / "journal.db"
    command = [*PROGRAM, *run_flags(link, "--rounds", "25", "--cohort-size", "1")]
    with subprocess.Popen([*command, "--over-select", "2"], env=ENVIRONMENT) as server:
        end = time.monotonic() + 60
        while ended_rounds(path) < 3 and time.monotonic() < end:
            assert server.poll() is None
            time.sleep(0.005)
        server.kill()
    before = ended_rounds(path)
    forget_round(
        path.parent / "catalog", path.resolve().parent.name, before
    )  # as if it was killed between the two
    assert 3 <= before < 25
    assert main(["server", "resume", "runs/latest", *link[:2]]) == 0
    with Journal(path) as journal:
        (run,) = journal.runs()
        rounds = journal.rounds(run.run)
        assert (run.status, len(rounds)) == ("done", 25)
        assert {row.cohort for row in rounds} == {("mcu-1", "mcu-3")}  # one is needed, two asked
        assert {len(journal.contributions(run.run, n)) for n in range(1, 26)} == {1}
        strategy = get_strategy(run.config["strategy"], **run.config["strategy_options"])
        first = Artifact(journal.artifact(run.base))
        assert replayed(journal, strategy, first, run.run).sha256 == journal.current(run.run)
    with Catalog.open(path.parent / "catalog", read_only=True) as catalog:
        known = catalog.query("SELECT ?n ?k { ?r tf:roundNumber ?n ; tf:contributorCount ?k }")
        assert sorted((row["n"], row["k"]) for row in known) == [(n, 1) for n in range(1, 26)]


def test_boards_learn_asynchronously(link, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    more = [
        "--strategy",
        "fedbuff",
        "--cohort-size",
        "2",
        "--option",
        "buffer=5",
        "--rate",
        "0.002",
    ]
    assert main(run_flags(link, "--rounds", "4", *more)) == 0
    with Journal(tmp_path / "runs" / "latest" / "journal.db") as journal:
        (run,) = journal.runs()
        updates = [one for n in range(1, 5) for one in journal.contributions(run.run, n)]
        assert len(updates) == 20 and {one.device for one in updates} == {"mcu-1", "mcu-3"}
        assert max(one.turn for one in updates) >= 2  # five updates of two boards in a round


def forget_round(path: Path, run: str, number: int) -> None:
    with Catalog.open(path) as catalog:
        catalog.store.replace(list(catalog._about(Iri(round_iri(run, number)))), [])


def ended_rounds(path: Path) -> int:
    """How many rounds of a journal that another process writes have ended."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT COUNT(*) FROM rounds WHERE ended > 0").fetchone()[0])
    except sqlite3.Error:
        return 0


def test_a_query_without_devices_says_what_it_gives() -> None:
    with Catalog.open(":memory:") as catalog:
        ask = devices_by_query(catalog, "SELECT ?d ?core { ?d tf:core ?core }", site="lab")
        with pytest.raises(UsageError, match="gives d, core"):
            ask()


def test_a_file_that_cannot_be_read_is_named(tmp_path) -> None:
    with pytest.raises(UsageError, match=r"none\.rq"):
        read_query(tmp_path / "none.rq")
    (tmp_path / "bad.rq").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_query(tmp_path / "bad.rq")
    (tmp_path / "empty.rq").write_text(" \n")
    with pytest.raises(UsageError, match="is empty"):
        read_query(tmp_path / "empty.rq")
