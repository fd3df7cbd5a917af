"""A parity report as one page to read."""

from server.export.about import About
from server.export.bounds import FLOAT_TOLERANCE, INT8_AGREEMENT, INT8_SQNR
from server.export.measured import Parity
from server.report.page import Page, Section, Tile

__all__ = ["parity_page"]


def parity_page(found: Parity, about: About) -> str:
    """One self-contained HTML document.

    Args:
        found: what all runtimes made of the files.
        about: what the files say of themselves.
    """
    exact = [part for part in found.files if not part.int8]
    coarse = [part for part in found.files if part.int8]
    tiles = [Tile("samples", str(found.samples), found.of)]
    if found.reference is not None:
        tiles.append(Tile(f"{found.metric}, float64", f"{found.reference:.4f}"))
    if exact:
        worst = max(answer.worst for part in exact for answer in part.answers)
        tiles.append(Tile("worst of float32", f"{worst:.1g}", f"at most {FLOAT_TOLERANCE:g} of 1"))
    if coarse:
        least = min(part.sqnr for part in coarse)
        tiles.append(Tile("worst SQNR", f"{least:.1f} dB", f"at least {INT8_SQNR:g}"))
        alike = min(part.agreement for part in coarse)
        tiles.append(Tile("runtimes agree", f"{alike:.0f} dB", f"at least {INT8_AGREEMENT:g}"))
    page = Page(f"{about.name}: what runtimes make of it", _subtitle(about), tiles=tiles)
    page.sections += [
        Section(
            "Runtimes",
            "Every file in every runtime that is installed here, held against float64.",
            ("file", "bytes", "runtime", "SQNR, dB", "worst difference", found.metric or "metric"),
            [
                (part.file, part.bytes, one.runtime, one.sqnr, one.worst, _known(one.metric))
                for part in found.files
                for one in part.answers
            ],
        ),
        Section(
            "On a board",
            "Our firmware on an emulated board: exact instructions of a prediction, link included.",
            ("file", "board", "instructions", "arena to predict, bytes"),
            [
                (part.file, part.board, part.instructions, part.arena)
                if part.instructions
                else (part.file, part.board, "-", "-")
                for part in found.files
                if part.board
            ],
        ),
        *(
            Section(
                f"Layers of {part.file}",
                "Signal over quantisation noise after each layer.",
                ("tensor", "SQNR, dB"),
                part.layers,
                half=True,
            )
            for part in found.files
            if part.layers
        ),
        Section(
            "Digests",
            header=("file", "SHA-256"),
            rows=[(part.file, part.sha256) for part in found.files],
        ),
    ]
    return page.html()


def _subtitle(about: About) -> str:
    return " · ".join(f"{key}: {value}" for key, value in about.fields().items() if key != "name")


def _known(value: float | None) -> float | str:
    return "" if value is None else value
