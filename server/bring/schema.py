"""Which fields the tables of a `.tflite` have, so that a table can be copied into another file.

Field numbers are those of the TensorFlow Lite schema, version 3.
"""

from dataclasses import dataclass

__all__ = [
    "BUFFER",
    "ENDS",
    "METADATA",
    "MODEL",
    "OPAQUE",
    "OPTION_REFUSED",
    "OPTION_VECTORS",
    "SIGNATURE",
    "Field",
    "Schema",
    "slot_of",
]


@dataclass(frozen=True)
class Field:
    """One field: a number of `width` bytes, a vector of such, or tables.

    Args:
        name: for people, and to find its slot.
        kind: `scalar`, `vector`, `text`, `table`, `tables`, `dropped`, or `refused`: what cannot
            be copied.
        width: bytes of a number, or of an element.
        schema: of the tables.
    """

    name: str
    kind: str
    width: int = 4
    schema: "Schema | None" = None


@dataclass(frozen=True)
class Schema:
    """The fields of one kind of table, by slot; an opaque one is copied as it lies there."""

    name: str
    fields: tuple[Field, ...]
    opaque: bool = False


def slot_of(schema: Schema, name: str) -> int:
    """The slot of a field by its name."""
    return next(n for n, field in enumerate(schema.fields) if field.name == name)


def _scalar(name: str, width: int = 4) -> Field:
    return Field(name, "scalar", width)


def _vector(name: str, width: int = 4) -> Field:
    return Field(name, "vector", width)


OPAQUE = Schema("options", (), opaque=True)
"""Options of an operator: numbers alone, but for `OPTION_VECTORS`."""

OPTION_VECTORS: dict[int, dict[int, int]] = {17: {0: 4}, 30: {0: 4}}
"""Options that hold vectors of numbers (RESHAPE, SQUEEZE): slot to bytes an element."""

OPTION_REFUSED: dict[int, int] = {3: 0, 8: 5, 111: 0, 115: 0}
"""Options that hold other things from a slot on: such operators are not copied."""

_CODE = Schema(
    "operator code",
    (_scalar("old_code", 1), Field("custom", "text", 1), _scalar("version"), _scalar("code")),
)
_QUANTISATION = Schema(
    "quantisation",
    (
        _vector("min"), _vector("max"), _vector("scale"), _vector("zero_point", 8),
        _scalar("details_type", 1), Field("details", "refused"), _scalar("axis"),
    ),
)  # fmt: skip
_TENSOR = Schema(
    "tensor",
    (
        _vector("shape"), _scalar("type", 1), _scalar("buffer"), Field("name", "text", 1),
        Field("quantisation", "table", schema=_QUANTISATION), _scalar("variable", 1),
        Field("sparsity", "refused"), _vector("signature"), _scalar("has_rank", 1),
        Field("variants", "refused"), Field("external", "refused"),
    ),
)  # fmt: skip
_OPERATOR = Schema(
    "operator",
    (
        _scalar("code"), _vector("inputs"), _vector("outputs"), _scalar("options_type", 1),
        Field("options", "table", schema=OPAQUE), _vector("custom", 1), _scalar("custom_format", 1),
        _vector("mutating", 1), _vector("intermediates"), Field("large_offset", "refused", 8),
        Field("large_size", "refused", 8), Field("options2_type", "refused", 1),
        Field("options2", "refused"), Field("debug", "dropped"),
    ),
)  # fmt: skip
_GRAPH = Schema(
    "graph",
    (
        Field("tensors", "tables", schema=_TENSOR), _vector("inputs"), _vector("outputs"),
        Field("operators", "tables", schema=_OPERATOR), Field("name", "text", 1),
        Field("debug", "dropped"),
    ),
)  # fmt: skip
BUFFER = Schema(
    "buffer",
    (_vector("data", 1), Field("large_offset", "refused", 8), Field("large_size", "refused", 8)),
)
MODEL = Schema(
    "model",
    (
        _scalar("version"), Field("codes", "tables", schema=_CODE),
        Field("graphs", "tables", schema=_GRAPH), Field("description", "text", 1),
        Field("buffers", "tables", schema=BUFFER), Field("metadata_buffer", "dropped"),
        Field("metadata", "dropped"),
        Field("signatures", "dropped"),
        Field("external_groups", "refused"), Field("external_buffers", "refused"),
    ),
)  # fmt: skip
"""The root table."""

METADATA = Schema("metadata", (Field("name", "text", 1), _scalar("buffer")))
ENDS = Schema("tensor map", (Field("name", "text", 1), _scalar("tensor")))
SIGNATURE = Schema(
    "signature",
    (
        Field("inputs", "tables", schema=ENDS), Field("outputs", "tables", schema=ENDS),
        Field("key", "text", 1), Field("unused", "refused"), _scalar("graph"),
    ),
)  # fmt: skip
"""What a file may say of itself; written anew, never copied."""
