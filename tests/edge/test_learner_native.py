"""The C library itself: what it compiles to, refuses and computes, and hostile files."""

import ctypes
import math
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ArtifactError, TinyfleetError
from edge.learner import NativeLearner
from edge.learner.build import compiled
from edge.learner.native import CLayer, CLearner, CModel, CSizes, library
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.zoo import model, parameters, samples

FOLDER = Path(__file__).parents[2] / "edge" / "learner"
SOURCES = [str(path) for path in sorted((FOLDER / "src").glob("*.c"))]
STRICT = "-std=c99 -O2 -Wall -Wextra -Werror -pedantic -Wmissing-prototypes -ffp-contract=off"
SPEC = ModelSpec.mlp([6, 5, 3], hidden="tanh", output="softmax")
FILE = model(SPEC)
INT8 = tflite.write_int8(SPEC, parameters(SPEC), samples(SPEC, 50)[0], name="zoo")
ARENA = -7

needs_c = pytest.mark.skipif(library() is None, reason="no C compiler")
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@needs_gcc
def test_it_compiles_without_a_warning(tmp_path: Path) -> None:
    command = ["gcc", *STRICT.split(), f"-I{FOLDER / 'include'}", "-c", *SOURCES]
    subprocess.run(command, check=True, cwd=tmp_path)


def test_a_user_without_a_folder_to_write_to_has_no_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "nothing.c"
    source.write_text("int nothing(void);\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(source))
    assert compiled("nothing", [source], ["-shared"], []) is None
    monkeypatch.delenv("XDG_CACHE_HOME")

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert compiled("nothing", [source], ["-shared"], []) is None


@needs_c
@pytest.mark.parametrize("flags", [0, 1, 2, 3])
def test_an_arena_that_is_too_small_is_refused(flags: int) -> None:
    lib = library()
    assert lib is not None
    words = np.frombuffer(FILE.ljust(-(-len(FILE) // 4) * 4, b"\0"), np.uint32).copy()
    found, sizes, learner = CModel(), CSizes(), CLearner()
    layers = (CLayer * 4)()
    assert lib.tl_model_open(found, words.ctypes.data, len(FILE), layers, 4) == 0
    assert lib.tl_model_sizes(found, 0, flags, sizes) == 0
    needed = sizes.arena_infer if flags & 2 else sizes.arena_train
    arena = np.zeros(needed // 4 + 1, np.float32)
    address = arena.ctypes.data
    assert lib.tl_learner_init(learner, found, 0, flags, address, needed - 1) == ARENA
    assert lib.tl_learner_init(learner, found, 0, flags, address + 1, needed) == ARENA
    assert lib.tl_learner_init(learner, found, 0, flags, address, needed) == 0
    guard = arena[-1] = np.float32(12345)
    x, y, loss = np.ones(6, np.float32), np.zeros(3, np.float32), ctypes.c_float()
    target = np.ones(1, np.float32)
    assert lib.tl_learner_predict(learner, x.ctypes.data, y.ctypes.data) == 0
    if not flags & 2:
        assert lib.tl_learner_learn(learner, x.ctypes.data, target.ctypes.data, 0.1, loss) == 0
    assert arena[-1] == guard


def ulps(found: float, exact: float) -> float:
    """How many units in the last place of a float32 lie between the two."""
    spacing = np.spacing(np.float32(abs(exact)) or np.finfo(np.float32).tiny)
    return abs(found - exact) / float(spacing)


@needs_c
@given(st.floats(-87.25, 88.5, width=32))
def test_exp_and_tanh_are_within_two_ulp(x: float) -> None:
    lib = library()
    assert lib is not None
    assert ulps(lib.tl_exp(x), math.exp(x)) <= 2
    assert ulps(lib.tl_tanh(x / 8), math.tanh(np.float32(x / 8))) <= 2


@needs_c
@given(st.floats(0, width=32, allow_infinity=True))
def test_sqrt_is_correctly_rounded(x: float) -> None:
    lib = library()
    assert lib is not None
    assert lib.tl_sqrt(x) == np.sqrt(np.float32(x))
    assert math.isnan(lib.tl_sqrt(-x)) or x == 0


def mutations(file: bytes, count: int, seed: int) -> list[bytes]:
    """Shortened files, files with bytes changed, files with whole words replaced."""
    rng = random.Random(seed)
    made = [file[:size] for size in range(0, len(file), max(1, len(file) // count))]
    for _ in range(count):
        data = bytearray(file)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(0, len(data) - 4)
            if rng.random() < 0.5:
                data[at] = rng.randrange(256)
            else:
                word = rng.choice(
                    [0, 1, 4, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, rng.getrandbits(32)]
                )
                data[at & ~3 : (at & ~3) + 4] = word.to_bytes(4, "little")
        made.append(bytes(data))
    return made


@needs_c
@pytest.mark.parametrize("file", [FILE, INT8], ids=["float32", "int8"])
def test_a_hostile_file_is_opened_or_refused(file: bytes) -> None:
    refused = 0
    for data in mutations(file, 400, seed=1):
        try:
            learner = NativeLearner(data, infer_only=file is INT8)
            learner.predict_one(np.zeros(learner.n_in))
        except TinyfleetError:
            refused += 1
    assert refused > 100


@needs_c
def test_the_operator_at_fault_is_named() -> None:
    assert FILE.count(b"\x1c\0\0\0") >= 1  # TANH, 28
    changed = FILE.replace(b"\x1c\0\0\0", b"\x11\0\0\0")
    with pytest.raises(ArtifactError):
        NativeLearner(changed)
