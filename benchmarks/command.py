"""How fast the command answers, and how large the smallest installation is.

Times are of this machine: the help is stated as the best of several runs beside a bare interpreter.
"""

import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path

from harness import Figure, figure, main

ROOT = Path(__file__).resolve().parents[1]


def best_time(command: list[str], runs: int = 7) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return min(times)


def size_mb(folder: Path) -> float:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


def measure() -> Iterator[Figure]:
    bare = best_time([sys.executable, "-c", "pass"])
    help_time = best_time([sys.executable, "-m", "server.cli", "--help"])
    note = f"bare interpreter: {bare:.3f} s"
    yield figure("command.help_s", help_time, "s", "<= 0.3", note)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "env"
        venv.create(target, with_pip=True)
        site = next(target.glob("lib/python*/site-packages"))
        before = size_mb(site)
        python = str(target / "bin" / "python")
        install = [python, "-m", "pip", "install", "-q", "--no-compile", str(ROOT)]
        subprocess.run(install, check=True, cwd=folder)
        subprocess.run(
            [python, "-m", "server.cli", "edge", "run", "--help"],
            check=True,
            cwd=folder,
            capture_output=True,
        )
        note = "pip install . without extras, pip itself not counted"
        yield figure("edge.install_mb", size_mb(site) - before, "MB", "<= 100", note)


if __name__ == "__main__":
    sys.exit(main(measure, __doc__ or ""))
