"""The C library through ctypes: its structs and functions, as in tinylearn.h."""

import ctypes
from ctypes import (
    POINTER,
    Structure,
    c_float,
    c_int,
    c_int8,
    c_int32,
    c_uint8,
    c_uint16,
    c_uint32,
)
from functools import cache
from typing import ClassVar

from edge.learner.build import library_path

__all__ = [
    "FMA",
    "INFER_ONLY",
    "MAX_LAYERS",
    "MOMENTUM",
    "RECONSTRUCT",
    "STANDARDISE",
    "CLayer",
    "CLearner",
    "CModel",
    "CSizes",
    "library",
]

STANDARDISE, INFER_ONLY, FMA, MOMENTUM, RECONSTRUCT = 1, 2, 4, 8, 16
MAX_LAYERS = 256

FloatPointer = POINTER(c_float)


class CShape(Structure):
    """`tl_shape`."""

    _fields_: ClassVar = [("h", c_uint16), ("w", c_uint16), ("c", c_uint16)]


class CLayer(Structure):
    """`tl_layer`."""

    _fields_: ClassVar = [
        ("weights", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("in_scale", c_float),
        ("out_scale", c_float),
        ("input", CShape),
        ("output", CShape),
        *((name, c_uint8) for name in ("kind", "type", "activation", "per_channel")),
        *((name, c_uint8) for name in ("kernel_h", "kernel_w", "stride_h", "stride_w")),
        *((name, c_uint8) for name in ("dilation_h", "dilation_w", "pad_top", "pad_left")),
        ("in_zero", c_int8),
        ("out_zero", c_int8),
        ("reserved", c_uint16),
    ]


class CModel(Structure):
    """`tl_model`."""

    _fields_: ClassVar = [
        ("file", ctypes.c_void_p),
        ("layers", POINTER(CLayer)),
        ("file_size", c_uint32),
        ("n_in", c_uint32),
        ("n_out", c_uint32),
        ("arena_infer", c_uint32),
        ("culprit", c_int32),
        ("n_layers", c_uint16),
        ("n_trainable", c_uint16),
        ("in_type", c_uint8),
        ("out_type", c_uint8),
        ("loss", c_uint8),
        ("reserved", c_uint8),
    ]


class CSizes(Structure):
    """`tl_sizes`."""

    _fields_: ClassVar = [
        ("parameters", c_uint32),
        ("target", c_uint32),
        ("features", c_uint32),
        ("arena_infer", c_uint32),
        ("arena_train", c_uint32),
        ("macs", c_uint32),
    ]


class CStandardiser(Structure):
    """`tl_standardiser`."""

    _fields_: ClassVar = [
        ("count", c_uint32),
        ("n", c_uint32),
        ("mean", FloatPointer),
        ("m2", FloatPointer),
    ]


class CLearner(Structure):
    """`tl_learner`."""

    _fields_: ClassVar = [
        ("model", POINTER(CModel)),
        ("first", c_uint16),
        ("flags", c_uint16),
        ("n_parameters", c_uint32),
        ("parameters", FloatPointer),
        ("velocity", FloatPointer),
        ("momentum", c_float),
        ("decay", c_float),
        ("clip", c_float),
        ("rescale", POINTER(c_int32)),
        ("standardiser", CStandardiser),
        ("features", FloatPointer),
        ("scratch", ctypes.c_void_p),
        ("scratch_bytes", c_uint32),
    ]


@cache
def library() -> ctypes.CDLL | None:
    """The loaded library with its prototypes, or None where there is none."""
    path = library_path()
    if path is None:
        return None
    lib = ctypes.CDLL(str(path))
    floats, learner = ctypes.c_void_p, POINTER(CLearner)
    prototypes = {
        "tl_model_open": [POINTER(CModel), ctypes.c_void_p, c_uint32, POINTER(CLayer), c_uint16],
        "tl_model_sizes": [POINTER(CModel), c_uint16, c_uint16, POINTER(CSizes)],
        "tl_learner_init": [
            learner, POINTER(CModel), c_uint16, c_uint16, ctypes.c_void_p, c_uint32,
        ],
        "tl_learner_read": [learner, c_uint32, c_uint32, floats],
        "tl_learner_write": [learner, c_uint32, c_uint32, floats],
        "tl_learner_predict": [learner, floats, floats],
        "tl_learner_loss": [learner, floats, floats, FloatPointer],
        "tl_learner_learn": [learner, floats, floats, c_float, FloatPointer],
        "tl_learner_learn_many": [
            learner, c_uint32, floats, floats, c_float, floats, POINTER(c_uint32),
        ],
        "tl_learner_add_class": [learner, c_uint32],
        "tl_learner_predict_int8": [learner, POINTER(c_int8), POINTER(c_int8)],
    }  # fmt: skip
    for name, arguments in prototypes.items():
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, c_int
    lib.tl_learner_spare_class.argtypes = [learner]
    lib.tl_learner_spare_class.restype = c_uint32
    lib.tl_has_fma.argtypes, lib.tl_has_fma.restype = [], ctypes.c_bool
    for name in ("tl_sqrt", "tl_exp", "tl_tanh"):
        function = getattr(lib, name)
        function.argtypes, function.restype = [c_float], c_float
    return lib
