"""How far a runtime may be off before an export fails."""

from edge.errors import ArtifactError
from server.export.measured import FileParity, Parity

__all__ = [
    "FIRMWARE",
    "FLOAT_TOLERANCE",
    "INT8_AGREEMENT",
    "INT8_SQNR",
    "ParityFailed",
    "require",
]

FLOAT_TOLERANCE = 1e-4
"""Largest difference of a float32 file from the reference, as a share of the largest output."""
INT8_SQNR = 20.0
"""Smallest signal-to-quantisation-noise ratio of a quantised file, dB."""
INT8_AGREEMENT = 30.0
"""Smallest ratio of what one runtime makes of a quantised file to how others differ, dB."""
SAME = 1e-6
"""Largest difference of a board from our learner on this machine, as a share."""
FIRMWARE = "firmware on "
"""How the answers of a board are called."""


class ParityFailed(ArtifactError):
    """A runtime answers something else than the model that was exported."""


def require(found: Parity) -> None:
    """Hold files to their bounds.

    Raises:
        ParityFailed: no runtime runs a file, a float32 file is off by more than 1e-4 of the largest
            output, a quantised one is below 20 dB, its runtimes agree to less than 30 dB, or a
            board differs from our learner on this machine.
    """
    for part in found.files:
        _check(part, max(1.0, found.largest))


def _check(part: FileParity, size: float) -> None:
    if not part.answers:
        raise ParityFailed(f"nothing here runs {part.file}.", hint="tinyfleet doctor")
    if not part.apart <= SAME * size:
        raise ParityFailed(
            f"{part.board} and this machine differ by {part.apart:.3g} on {part.file}.",
            hint="an issue with the file: this is a fault",
        )
    for one in part.answers:
        if one.runtime.startswith(FIRMWARE):
            continue  # of fewer samples; it is held against our learner, which has them all
        if not part.int8 and not one.worst <= FLOAT_TOLERANCE * size:
            raise ParityFailed(f"{one.runtime} is off by {one.worst:.3g} on {part.file}.")
        if part.int8 and not one.sqnr >= INT8_SQNR:
            raise ParityFailed(
                f"{one.runtime} has {one.sqnr:.1f} dB on {part.file}, at least "
                f"{INT8_SQNR:.0f} are needed.",
                hint="more calibration samples, of the kind the device will see; --refine",
            )
    if part.int8 and not part.agreement >= INT8_AGREEMENT:
        names = ", ".join(one.runtime for one in part.answers)
        raise ParityFailed(
            f"{names} agree on {part.file} to {part.agreement:.1f} dB, at least "
            f"{INT8_AGREEMENT:.0f} are needed.",
            hint="an issue with the file: this is a fault",
        )
