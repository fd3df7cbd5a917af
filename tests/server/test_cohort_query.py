"""A SPARQL file says who takes part, from the command line to the boards."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge.broker import LocalBroker, find_mosquitto, has_amqtt
from edge.errors import UsageError
from ontology.catalog import Catalog
from server.cli import main
from server.cohort_query import devices_by_query, read_query
from server.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
QUERY = ROOT / "examples" / "m4f-devices.rq"


@pytest.mark.skipif(not (find_mosquitto() or has_amqtt()), reason="no broker here")
def test_only_those_that_the_query_names_take_part(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with LocalBroker() as broker:
        link = ["--broker", broker.options.url, "--site", "lab"]
        boards = ["--board", "nano33ble", "--board", "pico", "--board", "nano33ble"]
        program = "import sys; from server.cli import main; sys.exit(main())"
        fleet = subprocess.Popen(
            [sys.executable, "-c", program, "sim", "run", *boards, "--task", "sine", *link],
            stderr=subprocess.DEVNULL,
        )
        try:
            code = main([
                "server", "run", "--task", "sine", "--rounds", "2", "--devices", "3",
                "--evaluate-every", "0", "--cohort", str(QUERY), *link,
            ])  # fmt: skip
        finally:
            fleet.terminate()
            fleet.wait(10)
    assert code == 0
    with Journal(tmp_path / "runs" / "latest" / "journal.db") as journal:
        (run,) = journal.runs()
        assert [row.cohort for row in journal.rounds(run.run)] == [("mcu-1", "mcu-3")] * 2
        assert sorted(journal.contributors(run.run)) == ["mcu-1", "mcu-3"]
    with Catalog.open(tmp_path / "runs" / "latest" / "catalog", read_only=True) as catalog:
        known = catalog.query("fleet")
        assert len(list(known)) == 3  # the pico was there, and was not asked


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
