"""What an export is asked for: formats, number types, and how int8 is found."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from edge.errors import UsageError
from server.export.quantise import CALIBRATIONS, Calibration

__all__ = ["DTYPES", "FORMATS", "Wanted"]

FORMATS = ("tflite", "onnx", "c")
DTYPES = {"float32": "f32", "int8": "int8", "hybrid": "hybrid"}
"""What may be asked for, and how files are called."""
_NO_FILE = ("onnx", "hybrid")


@dataclass(frozen=True)
class Wanted:
    """What to write, and how.

    Args:
        formats: of `FORMATS`.
        dtypes: of `DTYPES`; hybrid is int8 layers and a float32 tail, and not for onnx.
        calibration: how int8 ranges are found, see `quantise.CALIBRATIONS`.
        per_channel: one weight scale an output instead of one a layer.
        float_ends: int8 files take and give float32.
        float_layers: layers with weights, from the end, that stay float32 in a hybrid.
        refined: fine-tune the weights of int8 files through their rounding, where that brings a
            file nearer to the model; needs torch.

    Raises:
        UsageError: an unknown name, or nothing would be written.
    """

    formats: Sequence[str] = ("tflite", "onnx")
    dtypes: Sequence[str] = ("float32", "int8")
    calibration: Calibration = "minmax"
    per_channel: bool = True
    float_ends: bool = False
    float_layers: int = 1
    refined: bool = False

    def __post_init__(self) -> None:
        """Refuse names that there are not."""
        for what, given, allowed in (
            ("format", self.formats, FORMATS),
            ("dtype", self.dtypes, tuple(DTYPES)),
            ("calibration", (self.calibration,), CALIBRATIONS),
        ):
            unknown = [name for name in given if name not in allowed]
            if unknown or not given:
                said = f"{what} {unknown[0]!r} is unknown." if unknown else f"no {what} is given."
                raise UsageError(said, hint=f"of {', '.join(allowed)}")
        if not self._files:
            raise UsageError("a hybrid is no .onnx.", hint="--to tflite")

    @property
    def _files(self) -> set[tuple[str, str]]:
        """Formats and dtypes of the files that are written."""
        return {*product(self.formats, self.dtypes)} - {_NO_FILE}

    @property
    def left_out(self) -> str:
        """What is asked for in all combinations, but is not written; empty: nothing."""
        if _NO_FILE not in product(self.formats, self.dtypes):
            return ""
        remedy = "" if {"tflite", "c"} & set(self.formats) else " Try: --to tflite,onnx"
        return f"there is no hybrid .onnx, and none is written.{remedy}"

    def refuse_idle(self) -> None:
        """Refuse options of the command that no file looks at.

        Raises:
            UsageError: which, and what would heed it.
        """
        dtypes = {dtype for _, dtype in self._files}
        ends = any(dtype == "int8" and kind != "onnx" for kind, dtype in self._files)
        eight_bits = bool(dtypes & {"int8", "hybrid"})
        for given, used, option, remedy in (
            (self.calibration != "minmax", eight_bits, f"--calibration {self.calibration}", "int8"),
            (not self.per_channel, eight_bits, "--per-tensor", "int8"),
            (self.refined, "int8" in dtypes, "--refine", "int8"),
            (self.float_ends, ends, "--float-ends", "int8 --to tflite"),
            (self.float_layers != 1, "hybrid" in dtypes, "--float-layers", "hybrid --to tflite"),
        ):
            if given and not used:
                raise UsageError(
                    f"{option} changes none of the files that are wanted.",
                    hint=f"--dtype {remedy}, or without {option.split()[0]}",
                )
