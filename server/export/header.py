"""A `.tflite` as a C header, for firmware that brings its own build."""

import hashlib
import re

from edge.artifact import Artifact
from edge.budget import LAYER_BYTES, requirement
from edge.tflite import TensorInfo
from server.export.about import About

__all__ = ["c_header"]

_PER_LINE = 16
_IN_C = {"float32": "float", "int8": "int8_t"}


def c_header(data: bytes, about: About, kind: str) -> bytes:
    """Write a header that holds the file, aligned as every interpreter wants it.

    Args:
        data: bytes of a `.tflite` that the learner knows.
        about: its words; name and kind give the prefix of all symbols, such as `sine_int8`.
        kind: f32, int8 or hybrid: headers of one model can be included together.

    Returns:
        C99, ASCII: what firmware must know of the file as macros, and its bytes as
        `static const uint8_t`. Macros are size, digest, elements and C types of both ends, scale
        and zero point where an end is int8, and what the learner needs to open it.
    """
    artifact, prefix = Artifact(data), f"{_identifier(about.name)}_{kind}"
    upper = prefix.upper()
    need = requirement(artifact)
    words = [f" * {key}: {_harmless(value)}" for key, value in about.fields().items()]
    values = {
        "BYTES": len(data),
        "SHA256": f'"{hashlib.sha256(data).hexdigest()}"',
        **_end("INPUT", artifact.input),
        **_end("OUTPUT", artifact.output),
        "LAYERS": need.table // LAYER_BYTES,
        "ARENA_INFER": need.ram_infer,
        "ARENA_TRAIN": need.ram_train,
    }
    lines = [
        f"/* A TensorFlow Lite model of {len(data)} bytes.",
        *words,
        " * Hand it to tl_model_open (tinylearn.h), whose table of layers has _LAYERS entries,",
        " * then to tl_learner_init, whose arena has _ARENA_INFER bytes to predict, or",
        " * _ARENA_TRAIN to learn (0: it cannot). That is the arena alone: activations, tables to",
        " * rescale int8, what is trained. The table of layers, a sample, stack and variables of",
        " * the firmware come on top.",
        " * Or hand it to any TensorFlow Lite interpreter, which says itself what it needs.",
        " * Of an int8 end, real = _SCALE * (q - _ZERO). */",
        f"#ifndef {upper}_H",
        f"#define {upper}_H",
        "",
        "#include <stdint.h>",
        "",
        *(f"#define {upper}_{name} {value}" for name, value in values.items()),
        "",
        "#if defined(__GNUC__)",
        "__attribute__((aligned(16), unused))",
        "#endif",
        f"static const uint8_t {prefix}[{upper}_BYTES] = {{",
        *(_row(data[at : at + _PER_LINE]) for at in range(0, len(data), _PER_LINE)),
        "};",
        "",
        f"#endif /* {upper}_H */",
        "",
    ]
    return "\n".join(lines).encode("ascii")


def _end(name: str, tensor: TensorInfo) -> dict[str, str | int]:
    """Macros of an input or output."""
    found: dict[str, str | int] = {
        f"{name}S": tensor.elements,
        f"{name}_TYPE": _IN_C[tensor.dtype],
    }
    if tensor.dtype == "int8":
        found[f"{name}_SCALE"] = f"{tensor.scales[0]:.9e}f"
        found[f"{name}_ZERO"] = f"({tensor.zero_points[0]})"
    return found


def _row(data: bytes) -> str:
    return "    " + ", ".join(f"0x{byte:02x}" for byte in data) + ","


def _identifier(name: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return found if found[:1].isalpha() else f"model_{found}".rstrip("_")


def _harmless(text: str) -> str:
    """In printable ASCII; nothing in it ends the comment, begins another, or joins two lines."""
    escaped = "".join(
        one if " " <= one <= "~" and one != "\\" else _escaped(ord(one)) for one in text
    )
    return escaped.replace("*/", "* /").replace("/*", "/ *").replace("??/", "?? /")


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
