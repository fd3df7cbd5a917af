"""C headers of exported files, as a compiler of C99 sees them."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.learner import OnlineLearner
from edge.learner.build import FOLDER as LEARNER
from edge.spec import ModelSpec
from server.cli import main
from server.export import tflite
from server.export.about import About
from server.export.encode import encode
from server.export.header import c_header
from server.export.wanted import Wanted
from server.models import FOLDER

SPEC = ModelSpec.mlp([4, 12, 3], output="softmax")
P = SPEC.initial(3)
X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
CC = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror"]
HOSTILE = [
    "*\\\n/ int evil; /*",
    "*\n/ int evil; /*",
    "*\r/ int evil; /*",
    "*/ int evil; /*",
    "/*/ int evil; /*/",
    "*??/\n/ int evil;",
    "ends in \\",
    "ends in ??/",
    "ü \x00 \x7f \u2028 \U0001f600",
]


def run(folder, headers: dict[str, bytes], main: str, *more: str) -> bytes:
    """What a program prints that includes headers."""
    for name, header in headers.items():
        header.decode("ascii")
        (folder / name).write_bytes(header)
    includes = "".join(f'#include "{name}"\n' for name in headers)
    (folder / "m.c").write_text(f"{includes}#include <stdio.h>\nint main(void) {{ {main} }}\n")
    built = subprocess.run(
        [*CC, "m.c", *more, "-o", "m"], cwd=folder, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    return subprocess.run([folder / "m"], capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", ["9 net*/ -x", "double", "int", "INT8", "", "ü", "a\\\n/*"])
def test_a_header_compiles_and_holds_the_file(name, tmp_path) -> None:
    data = tflite.write(SPEC, P, name="m")
    header = c_header(data, About(name, task='a */ "b"\\ ü'), "f32")
    symbol = re.search(r"const uint8_t (\w+)\[", header.decode())
    assert symbol and symbol[1].endswith("_f32")
    main = f"return fwrite({symbol[1]}, 1, sizeof {symbol[1]}, stdout) != sizeof {symbol[1]};"
    assert run(tmp_path, {"m.h": header}, main) == data


@pytest.mark.parametrize("text", HOSTILE)
def test_no_word_leaves_the_comment(text, tmp_path) -> None:
    data = tflite.write(SPEC, P, name="m")
    header = c_header(data, About("m", licence=text, task=text, labels=(text,)), "f32")
    main = 'int evil = 7; return printf("%d", evil) != 1;'
    assert run(tmp_path, {"m.h": header}, main) == b"7"
    comment = header.decode().split("#ifndef")[0]
    assert comment.count("*/") == comment.count("/*") == 1


def test_headers_of_one_model_go_into_one_file(tmp_path) -> None:
    files = encode(SPEC, P, X, Wanted(("tflite", "c"), ("float32", "int8", "hybrid")), About("net"))
    headers = {name: one.data for name, one in files.items() if name.endswith(".h")}
    kinds = ("f32", "int8", "hybrid")
    main = "".join(f"fwrite(net_{kind}, 1, NET_{kind.upper()}_BYTES, stdout);" for kind in kinds)
    written = run(tmp_path, headers, main + "return 0;")
    assert written == b"".join(files[f"model.{kind}.tflite"].data for kind in kinds)


def test_macros_say_what_the_ends_are(tmp_path) -> None:
    files = encode(SPEC, P, X, Wanted(("tflite", "c"), ("float32", "int8")), About("net"))
    headers = {name: one.data for name, one in files.items() if name.endswith(".h")}
    int8 = Artifact(files["model.int8.tflite"].data)
    main = """
        NET_INT8_INPUT_TYPE x[NET_INT8_INPUTS]; NET_F32_OUTPUT_TYPE y[NET_F32_OUTPUTS];
        printf("%d %d %.9e %d %.9e %d", (int)sizeof x, (int)sizeof y,
               NET_INT8_INPUT_SCALE, NET_INT8_INPUT_ZERO,
               NET_INT8_OUTPUT_SCALE, -NET_INT8_OUTPUT_ZERO);
        return 0;
    """
    said = run(tmp_path, headers, main).split()
    assert [int(said[i]) for i in (0, 1, 3, 5)] == [
        4, 12, int8.input.zero_points[0], -int8.output.zero_points[0],
    ]  # fmt: skip
    scales = [np.float32(said[2]), np.float32(said[4])]
    assert scales == [np.float32(int8.input.scales[0]), np.float32(int8.output.scales[0])]
    assert b"F32_INPUT_SCALE" not in headers["model.f32.h"]


def test_the_example_predicts_as_the_learner_here_does(tmp_path) -> None:
    root = Path(__file__).parents[2]
    example = root / "examples" / "predict_from_header.c"
    code = example.read_text().split(". */\n", 1)[1]
    assert f"```c\n{code}```" in (root / "docs" / "EXPORT.md").read_text()
    sine = FOLDER / "sine.tflite"
    options = ["--to", "c", "--dtype", "float32", "--out", str(tmp_path)]
    assert main(["server", "export", str(sine), *options]) == 0
    sources = [str(path) for path in sorted((LEARNER / "src").glob("*.c"))]
    built = subprocess.run(
        [*CC, "-ffp-contract=off", "-I.", f"-I{LEARNER / 'include'}", example, *sources, "-o", "m"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    said = subprocess.run([tmp_path / "m"], capture_output=True, check=True).stdout
    expected = OnlineLearner(sine.read_bytes()).predict_many(np.array([[0.5]], np.float32))
    assert np.float32(said) == expected[0, 0]


def test_the_learner_needs_what_the_macros_say(tmp_path) -> None:
    wanted = Wanted(("c",), ("float32", "int8", "hybrid"))
    headers = {name: one.data for name, one in encode(SPEC, P, X, wanted, About("net")).items()}
    check = """
        static tl_layer of_{0}[NET_{1}_LAYERS];
        const uint8_t *file = net_{0};
        if (tl_model_open(&model, file, NET_{1}_BYTES, of_{0}, NET_{1}_LAYERS) != TL_OK) return 1;
        if (model.n_layers != NET_{1}_LAYERS) return 2;
        if (tl_model_sizes(&model, 0, 0, &sizes) != TL_OK) return 3;
        if (sizes.arena_infer != NET_{1}_ARENA_INFER) return 4;
        if (sizes.arena_train != NET_{1}_ARENA_TRAIN) return 5;
    """
    main = "tl_model model; tl_sizes sizes;"
    main += "".join(
        "{" + check.format(kind, kind.upper()) + "}" for kind in ("f32", "int8", "hybrid")
    )
    headers = {"tinylearn.h": (LEARNER / "include" / "tinylearn.h").read_bytes()} | headers
    sources = [str(path) for path in sorted((LEARNER / "src").glob("*.c"))]
    options = [f"-I{LEARNER / 'include'}", "-lm"]
    run(tmp_path, headers, f'{main} return puts("fits") < 0;', *sources, *options)
