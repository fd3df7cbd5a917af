"""The catalogue at 100,000 devices and 1,000 models, on disk; rdflib beside it on a smaller fleet.

The fleet of benchmarks/made_fleet.py is loaded into an empty folder by a process of its own, whose
memory is measured. Queries are those of `tinyfleet catalog queries`, or written here; a time is the
median of several, from the text to all rows in Python, as a user of `Catalog.query` has them.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import made_fleet
from harness import Figure, figure, show

from firmware_sim.boards import BOARDS
from ontology.catalog import Catalog
from ontology.gate import bind
from ontology.named import get_query
from ontology.namespaces import PREFIXES
from ontology.terms import Iri

DEVICES, MODELS = 100_000, 1_000
BESIDE = 1_000
"""Devices of the fleet that rdflib gets; its times grow faster than the fleet."""
REPEATS = 7
CHANGES = 3_000
ADDED = 300
FREE = f"""SELECT ?device WHERE {{
  ?device <{PREFIXES["schema"]}location> "building-7" ; tf:online true .
  FILTER NOT EXISTS {{ ?device tf:running ?model }}
  ?device sosa:hosts/tf:senses "microphone" .
}}"""
COUNT = (
    "SELECT ?core (COUNT(*) AS ?devices) WHERE { ?d a tf:Device ; tf:core ?core } GROUP BY ?core"
)
DEVICE = f"{made_fleet.SITE}/d7"

Ask = Callable[[], Any]


def questions(catalog: Catalog) -> dict[str, tuple[Ask, str]]:
    """What is asked, by the figure's name; with its target."""
    few, last = made_fleet.digest(3), made_fleet.digest(9)
    everything = 10 * DEVICES
    return {
        "fit_ms": (lambda: catalog.query("models-for-device", device=DEVICE), "<= 20"),
        "free_mic_ms": (lambda: catalog.query(FREE), "<= 40"),
        "run_ms": (
            lambda: catalog.query("devices-for-model", model=few, max_rows=everything),
            "<= 400",
        ),
        "count_ms": (lambda: catalog.query(COUNT), "<= 900"),
        "stale_ms": (lambda: catalog.query("stale", max_rows=everything), "<= 300"),
        "lineage_ms": (lambda: catalog.query("lineage", model=last), "<= 1"),
    }


def median_ms(ask: Ask, repeats: int = REPEATS) -> tuple[float, int]:
    """Median time of a question, and how many rows it has."""
    took, rows = [], 0
    for _ in range(repeats):
        began = time.perf_counter()
        rows = len(ask())
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), rows


def load(folder: Path, source: Path, answers: Any) -> None:
    """In a process of its own: seconds to load, lines, and most memory used."""
    began = time.perf_counter()
    with Catalog.open(folder) as catalog, source.open("rb") as lines:
        count = catalog.load(lines)
    took = time.perf_counter() - began
    answers.put((took, count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000))


def loading(folder: Path, source: Path) -> Iterator[Figure]:
    """Load the fleet, and say what it took."""
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    worker = spawn.Process(target=load, args=(folder, source, answers))
    worker.start()
    seconds, lines, megabytes = answers.get()
    worker.join()
    note = f"{lines:,} triples: {DEVICES:,} devices, {MODELS:,} models"
    yield figure("catalog.load_s", seconds, "s", "<= 20", note)
    yield figure("catalog.rss_mb", megabytes, "MB", "<= 300", "most, of the process that loads")


def presence(catalog: Catalog) -> float:
    """Changes of status a second, each durable, while another thread keeps asking."""
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            catalog.query("models-for-device", device=DEVICE)

    reader = threading.Thread(target=read)
    reader.start()
    began = time.perf_counter()
    try:
        for batch in range(0, CHANGES, 100):
            names = (f"urn:tinyfleet:{made_fleet.SITE}:d{batch + i}" for i in range(100))
            catalog.set_statuses((name, batch % 200 == 0, None) for name in names)
    finally:
        took = time.perf_counter() - began
        done.set()
        reader.join()
    return CHANGES / took


def http_add(folder: Path) -> float:
    """Median milliseconds to add a device by HTTP, validated by schema and shapes, and durable."""
    token = "a-token-for-the-benchmark"
    command = [sys.executable, "-m", "server.cli", "catalog", "serve", "--catalog", str(folder)]
    process = subprocess.Popen(
        [*command, "--port", "0", "--rate", "0"],
        env={**os.environ, "TINYFLEET_CATALOG_TOKEN": token}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://([\w.]+):(\d+)", line)
        assert found, line + process.stderr.read()
        link = http.client.HTTPConnection(found[1], int(found[2]))
        return statistics.median(_adding(link, token))
    finally:
        process.terminate()
        process.wait()


def _adding(link: http.client.HTTPConnection, token: str) -> Iterator[float]:
    profile = BOARDS["nano33ble"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/td+json"}
    for number in range(ADDED):
        thing = profile.thing_description(
            f"new-{os.getpid()}-{number}", site="plant", arena=10_000, slot=10_000
        )
        body = json.dumps(thing)
        began = time.perf_counter()
        link.request("PUT", f"/things/{thing['id']}", body, headers)
        answer = link.getresponse()
        answer.read()
        yield (time.perf_counter() - began) * 1000
        assert answer.status == 201, answer.status


def beside() -> dict[str, float]:
    """The same questions to rdflib, in memory, over fewer devices."""
    import rdflib

    graph = rdflib.Graph()
    lines = made_fleet.lines(BESIDE, MODELS // 10)
    graph.parse(data="".join(lines), format="nt")
    model, last = (Iri(f"urn:sha256:{made_fleet.digest(n)}") for n in (3, 9))
    device = Iri(f"urn:tinyfleet:{made_fleet.SITE}:d7")
    texts = {
        "fit_ms": bind(get_query("models-for-device").text, {"device": device}),
        "free_mic_ms": FREE,
        "run_ms": bind(get_query("devices-for-model").text, {"model": model}),
        "count_ms": COUNT,
        "lineage_ms": bind(get_query("lineage").text, {"model": last}),
    }
    found = {}
    for name, text in texts.items():
        found[name] = median_ms(lambda text=text: list(graph.query(text, initNs=PREFIXES)), 1)[0]
    return found


def measure() -> Iterator[Figure]:
    """All figures, in the order they are made."""
    with tempfile.TemporaryDirectory(prefix="tinyfleet-") as name:
        source, folder = Path(name) / "fleet.nt", Path(name) / "catalog"
        with source.open("w") as out:
            out.writelines(made_fleet.lines(DEVICES, MODELS))
        yield from loading(folder, source)
        theirs = beside()
        with Catalog.open(folder) as catalog:
            for key, (ask, target) in questions(catalog).items():
                took, rows = median_ms(ask)
                note = f"{rows:,} rows"
                if key in theirs:
                    note += (
                        f"; rdflib, {BESIDE:,} devices, {MODELS // 10} models: {theirs[key]:,.1f}"
                    )
                yield figure(f"catalog.{key}", took, "ms", target, note)
            rate = presence(catalog)
            yield figure(
                "catalog.presence_per_s", rate, "/s", ">= 1500", "by hundreds, a reader beside"
            )
        note = f"median of {ADDED}, one at a time, each a whole description validated and durable"
        yield figure("catalog.http_add_ms", http_add(folder), "ms", "<= 5", note)


def main() -> int:
    """Print the figures; 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    arguments = parser.parse_args()
    return int(not show(measure(), print, as_json=arguments.json))


if __name__ == "__main__":
    sys.exit(main())
