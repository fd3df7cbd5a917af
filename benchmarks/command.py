"""How fast the command answers.

Times are of this machine: the help is stated as the best of several runs beside a bare interpreter.
"""

import subprocess
import sys
import time
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


def measure() -> Iterator[Figure]:
    bare = best_time([sys.executable, "-c", "pass"])
    help_time = best_time([sys.executable, "-m", "server.cli", "--help"])
    note = f"bare interpreter: {bare:.3f} s"
    yield figure("command.help_s", help_time, "s", "<= 0.3", note)


if __name__ == "__main__":
    sys.exit(main(measure, __doc__ or ""))
