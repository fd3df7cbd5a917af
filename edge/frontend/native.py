"""The front end in C, where a compiler is at hand; the same calls as `LogMel`."""

from ctypes import (
    CDLL,
    POINTER,
    Structure,
    byref,
    c_float,
    c_int16,
    c_int32,
    c_uint16,
    c_uint32,
    c_uint64,
)
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.frontend.logmel import LogMel
from edge.frontend.tables import Tables
from edge.learner.build import compiled

__all__ = ["NativeLogMel", "front_end"]

FOLDER = Path(__file__).parent
FLAGS = ["-std=c99", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
Int16 = NDArray[np.int16]


class _Config(Structure):
    _fields_ = (
        ("frame", c_uint32),
        ("hop", c_uint32),
        ("bands", c_uint32),
        ("window", POINTER(c_int16)),
        ("cosine", POINTER(c_int32)),
        ("sine", POINTER(c_int32)),
        ("weights", POINTER(c_uint16)),
    )


@cache
def _library() -> CDLL | None:
    sources = sorted([*(FOLDER / "src").glob("*.c"), *(FOLDER / "include").glob("*.h")])
    path = compiled("tinyfront", sources, FLAGS, [FOLDER / "include"])
    if path is None:
        return None
    library = CDLL(str(path))
    library.tf_logmel.restype = library.tf_frames.restype = c_uint32
    return library


class NativeLogMel(LogMel):
    """`LogMel` by the C sources that a board runs.

    Args:
        tables: sizes and tables.

    Raises:
        RuntimeError: there is no compiler.
    """

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        library = _library()
        if library is None:
            raise RuntimeError("no C compiler is at hand")
        self._library = library
        self._kept = [np.ascontiguousarray(part) for part in
                      (tables.window, tables.cosine, tables.sine, tables.weights)]  # fmt: skip
        kinds = (c_int16, c_int32, c_int32, c_uint16)
        pointers = [_at(part, kind) for part, kind in zip(self._kept, kinds, strict=True)]
        self._config = _Config(tables.frame, tables.hop, tables.bands, *pointers)

    def bands(self, audio: Int16) -> tuple[Int16, NDArray[np.uint64]]:
        """See `LogMel`."""
        audio = np.ascontiguousarray(audio, np.int16)
        frames = self.frames(audio.size)
        out = np.empty((frames, self.tables.bands), np.int16)
        energy, scratch = np.empty(frames, np.uint64), np.empty(2 * self.tables.frame, np.int32)
        found = self._library.tf_logmel(
            byref(self._config), _at(audio, c_int16), c_uint32(audio.size), _at(out, c_int16),
            _at(energy, c_uint64), c_uint32(frames), _at(scratch, c_int32),
        )  # fmt: skip
        assert found == frames
        return out, energy

    def stretched(self, audio: Int16, wanted: int) -> NDArray[np.float32]:
        """See `LogMel`."""
        bands, _ = self.bands(audio)
        out = np.empty((wanted, bands.shape[1]), np.int16)
        sizes = (c_uint32(len(bands)), c_uint32(bands.shape[1]), c_uint32(wanted))
        self._library.tf_stretch(_at(bands, c_int16), *sizes, _at(out, c_int16))
        return self._normalised(out)

    def centred(self, audio: Int16, wanted: int) -> NDArray[np.float32]:
        """See `LogMel`."""
        bands, energy = self.bands(audio)
        out = np.empty((wanted, bands.shape[1]), np.int16)
        sizes = (c_uint32(len(bands)), c_uint32(bands.shape[1]), c_uint32(wanted))
        self._library.tf_centre(_at(bands, c_int16), _at(energy, c_uint64), *sizes,
                                _at(out, c_int16))  # fmt: skip
        return self._normalised(out)

    def _normalised(self, values: Int16) -> NDArray[np.float32]:
        out = np.empty(values.shape, np.float32)
        self._library.tf_normalise(_at(values, c_int16), c_uint32(values.size), _at(out, c_float))
        return out


def front_end(tables: Tables) -> LogMel:
    """The fastest front end at hand; all give the same bits."""
    return NativeLogMel(tables) if _library() is not None else LogMel(tables)


def _at(array: NDArray[Any], kind: Any) -> Any:
    return array.ctypes.data_as(POINTER(kind))
