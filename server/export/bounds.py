"""How far a runtime may be off before an export fails."""

import math
from collections.abc import Iterator

from edge.errors import ArtifactError
from server.export.cause import why_coarse
from server.export.measured import Answer, FileParity, Parity

__all__ = [
    "FLOAT_TOLERANCE",
    "INT8_AGREEMENT",
    "INT8_SQNR",
    "SAME",
    "ParityFailed",
    "broken",
    "not_finite",
    "require",
    "size",
]

FLOAT_TOLERANCE = 1e-4
"""Largest difference of a float32 file from the reference, as a share of the largest output."""
INT8_SQNR = 20.0
"""Smallest signal-to-quantisation-noise ratio of a quantised file, dB."""
INT8_AGREEMENT = 30.0
"""Smallest ratio of what one runtime makes of a quantised file to how others differ, dB."""
SAME = 1e-6
"""Largest difference of a board from our learner here, as a share of the largest output."""
_SMALLEST = 1e-6
"""What the largest output counts as where it is smaller: float32 has no share of zero to keep."""
_FAULT = "an issue with the file: this is a fault"


class ParityFailed(ArtifactError):
    """A runtime answers something else than the model that was exported."""


def not_finite() -> ParityFailed:
    """What is wrong with a model that cannot be exported at all."""
    return ParityFailed(
        "the model itself gives NaN or infinity.", hint="a smaller learning rate, and train it anew"
    )


def require(found: Parity) -> None:
    """Hold files to their bounds.

    Raises:
        ParityFailed: the first of `broken`.
    """
    for error in broken(found):
        raise error


def broken(found: Parity) -> Iterator[ParityFailed]:
    """All bounds that are broken.

    The model itself or a runtime gives NaN or infinity, a runtime or a board fails, none runs a
    file, a float32 file is off by more than 1e-4 of the largest output, a quantised one is below
    20 dB, its runtimes agree to less than 30 dB, or a board differs from our learner here.
    """
    if not math.isfinite(found.largest):
        yield not_finite()
        return
    for part in found.files:
        yield from _of_file(found, part, size(found))


def size(found: Parity) -> float:
    """Largest output of the reference, what shares are of."""
    return max(_SMALLEST, found.largest)


def _of_file(found: Parity, part: FileParity, size: float) -> Iterator[ParityFailed]:
    if not part.answers:
        yield ParityFailed(f"nothing here runs {part.file}.", hint="tinyfleet doctor")
    for one in part.answers:
        if one.failed:
            yield ParityFailed(f"{one.runtime} fails on {part.file}: {one.failed}.", hint=_FAULT)
        elif not one.board:  # a board is held against our learner, which has all samples
            yield from _of_runtime(found, part, one, size)
    if not part.apart <= SAME * size:
        yield ParityFailed(
            f"{part.board} and this machine differ by {part.apart:.3g} on {part.file}.",
            hint=_FAULT,
        )
    if part.int8 and part.agreement is not None and not part.agreement >= INT8_AGREEMENT:
        names = ", ".join(one.runtime for one in part.on_all if not one.failed)
        yield ParityFailed(
            f"{names} agree on {part.file} to {part.agreement:.1f} dB, at least "
            f"{INT8_AGREEMENT:.0f} are needed.",
            hint=_FAULT,
        )


def _of_runtime(
    found: Parity, part: FileParity, one: Answer, size: float
) -> Iterator[ParityFailed]:
    if not part.int8 and not one.worst <= FLOAT_TOLERANCE * size:
        yield ParityFailed(
            f"{one.runtime} is off by {one.worst:.3g} on {part.file}, at most "
            f"{FLOAT_TOLERANCE * size:.3g} is allowed.",
            hint=_FAULT,
        )
    if part.int8 and not one.sqnr >= INT8_SQNR:
        cause, remedy = why_coarse(found, part)
        yield ParityFailed(
            f"{one.runtime} has {one.sqnr:.1f} dB on {part.file}, at least "
            f"{INT8_SQNR:.0f} are needed{cause}.",
            hint=remedy,
        )
