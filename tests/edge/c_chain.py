"""What the C reader makes of a file."""

import ctypes

import pytest

from edge.learner import native


def c_layers(data: bytes) -> list[native.CLayer] | None:
    """The table that `tl_model_open` writes; None where it refuses."""
    library = native.library()
    if library is None:
        pytest.skip("no C build here")
    held = ctypes.create_string_buffer(data, len(data))
    model, table = native.CModel(), (native.CLayer * 64)()
    at = ctypes.cast(held, ctypes.c_void_p)
    status = library.tl_model_open(ctypes.byref(model), at, len(data), table, 64)
    return list(table[: model.n_layers]) if status == 0 else None
