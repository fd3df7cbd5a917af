"""A `.tflite` as a C header, for firmware that brings its own build."""

import hashlib
import math
import re

from edge.artifact import Artifact
from server.export.about import About

__all__ = ["c_header"]

_PER_LINE = 16


def c_header(data: bytes, about: About) -> bytes:
    """Write a header that holds the file, aligned as every interpreter wants it.

    Args:
        data: bytes of a `.tflite`.
        about: its words; the name gives the prefix of all symbols.

    Returns:
        C99, ASCII: sizes and digest as macros, the bytes as `static const uint8_t`.
    """
    artifact, prefix = Artifact(data), _identifier(about.name)
    upper = prefix.upper()
    words = [f" * {key}: {value}" for key, value in about.fields().items()]
    values = {
        "BYTES": len(data),
        "SHA256": f'"{hashlib.sha256(data).hexdigest()}"',
        "INPUTS": math.prod(artifact.describe().inputs[0].shape),
        "OUTPUTS": math.prod(artifact.describe().outputs[0].shape),
    }
    lines = [
        f"/* A TensorFlow Lite model of {len(data)} bytes.",
        *map(_harmless, words),
        " * Hand it to tl_model_open (tinylearn.h) or to any TensorFlow Lite interpreter. */",
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


def _row(data: bytes) -> str:
    return "    " + ", ".join(f"0x{byte:02x}" for byte in data) + ","


def _identifier(name: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return found if found[:1].isalpha() else f"model_{found}".rstrip("_")


def _harmless(text: str) -> str:
    """In ASCII, and nothing in it can end the comment."""
    return text.encode("ascii", "backslashreplace").decode().replace("*/", "* /")
