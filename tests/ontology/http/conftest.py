"""A catalogue served by the real command in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ontology.catalog import Catalog
from tests.ontology.conftest import fill

TOKEN = "a-token-for-the-tests-only"
DEADLINE = 1.5
ROOT = Path(__file__).parents[3]
MAX_ROWS = 500


@contextmanager
def serving(place: Path | str, *options: str, token: str | None = TOKEN) -> Iterator[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TINYFLEET_CATALOG_TOKEN", None)
    if token:
        environment["TINYFLEET_CATALOG_TOKEN"] = token
    command = [sys.executable, "-m", "server.cli", "catalog", "serve", "--catalog", str(place)]
    process = subprocess.Popen(
        [*command, "--port", "0", *options], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield found[0]
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[1]
    assert "Traceback" not in said, said


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served") / "catalog"
    with Catalog.open(folder) as catalog:
        fill(catalog)
    limits = ("--deadline", str(DEADLINE), "--max-rows", str(MAX_ROWS), "--rate", "0")
    with serving(folder, *limits) as url:
        yield url


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


@pytest.fixture
def writer(address: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=address, timeout=30, headers=headers) as opened:
        yield opened


def refused(answer: httpx.Response, status: int) -> dict[str, object]:
    """The problem document of a refusal (RFC 9457)."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["status"] == status and body["title"]
    return body
