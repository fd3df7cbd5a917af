"""Why a quantised file is far from its model, and what helps."""

from server.export.measured import FileParity, Parity

__all__ = ["why_coarse"]


def why_coarse(found: Parity, part: FileParity) -> tuple[str, str]:
    """Say why a file is below its bound, as far as that is known.

    Returns:
        The cause, to follow a sentence, or empty; and what to try.
    """
    ranges, calibration = found.ranges, found.options.get("calibration", "minmax")
    if ranges is not None and ranges.clips:
        cause = (
            f": {ranges.clipped:.2%} of the values tried lie outside the ranges, the farthest by "
            f"{ranges.far:.1f} times their width"
        )
        all_covered = "" if calibration == "minmax" else "; --calibration minmax"
        return cause, f"samples without faults, or more like them to set the ranges{all_covered}"
    if ranges is not None and ranges.coarse:
        times = f"{ranges.stretched:.0f} times as wide as 99 % of the values need"
        cause = f": single values make a range {times}"
        helps = calibration != "percentile" and ranges.percentile_helps
        clip = "; --calibration percentile" if helps else ""
        return cause, f"samples without faults{clip}"
    remedies = ["more calibration samples, of the kind the device will see"]
    if ".int8." in part.file and not found.options.get("refined"):
        remedies.append("--refine")
    return "", "; ".join(remedies)
