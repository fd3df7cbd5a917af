"""What every benchmark shares: figures, targets, and how they are printed."""

import argparse
from collections.abc import Callable, Iterable
from functools import partial

from server.figures import Figure, figure, show

__all__ = ["Figure", "figure", "main"]


def main(measure: Callable[[], Iterable[Figure]], description: str) -> int:
    """Run a benchmark: a line a figure, or one JSON document with --json.

    Returns:
        0 if every target holds, else 1.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    as_json = parser.parse_args().json
    return int(not show(measure(), partial(print, flush=True), as_json=as_json))
