"""The applications on unseen clients, with device-sized models and the devices' own learner.

`--only NAME` measures one; `--data FILE.npz` takes the unseen clients from a file instead, of the
layout that docs/TASKS.md says. Each file in benchmarks/apps says how it measures.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from apps import characters, digits, keywords, presence, sine
from harness import Figure, show

APPLICATIONS = {
    "sine": sine,
    "characters": characters,
    "digits": digits,
    "keywords": keywords,
    "presence": presence,
}


def measure(names: list[str], data: Path | None) -> Iterator[Figure]:
    """The figures of each application, in turn."""
    for name in names:
        yield from APPLICATIONS[name].figures(data)


def main() -> int:
    """Print the figures; 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    parser.add_argument("--only", choices=list(APPLICATIONS), help="one application")
    parser.add_argument("--data", type=Path, help="unseen clients (.npz), with --only")
    arguments = parser.parse_args()
    if arguments.data and not arguments.only:
        parser.error("--data needs --only NAME: whose data is it?")
    names = [arguments.only] if arguments.only else list(APPLICATIONS)
    return int(not show(measure(names, arguments.data), print, as_json=arguments.json))


if __name__ == "__main__":
    sys.exit(main())
