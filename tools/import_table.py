"""Give every model file of a folder a tail for two classes, and print the table of docs/IMPORT.md.

Usage: python tools/import_table.py FOLDER
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from edge.artifact import Artifact
from edge.chain import UnsupportedOperator
from server.bring.bring import hybrid_name
from server.bring.hybrid import hybrid
from server.bring.tail import Tail

HEAD = """| file | MACs | learns from | in place of | bytes: before, after | tail | front runs in |
|---|---|---|---|---|---|---|"""


def row(path: Path) -> str:
    """One line of the table."""
    data = path.read_bytes()
    foreign, made = Artifact(data), hybrid(data, Tail(2), name=hybrid_name(str(path)))
    whole = Artifact(made.data)
    feature = made.feature
    try:
        _ = whole.spec
        front = "the learner"
    except UnsupportedOperator as error:
        front = f"a runtime: {error.message}"
    shape = "x".join(map(str, feature.shape[1:]))
    return (
        f"| {path.stem} | {foreign.macs:,} | {feature.dtype} {shape} | {feature.replaced} | "
        f"{len(data):,}, {len(made.data):,} | {made.spec.n_parameters:,} | {front} |"
    )


def table(folder: Path) -> str:
    """The whole table, in Markdown."""
    return "\n".join([HEAD, *(row(path) for path in sorted(folder.glob("*.tflite")))])


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
