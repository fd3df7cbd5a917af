"""Bring a model file of others: what is in it, and a version of it whose tail can be trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.artifact import Artifact
from edge.errors import UsageError
from edge.split import split
from server.bring.hybrid import Hybrid, hybrid
from server.bring.tail import Tail
from server.bring.torch_module import is_module, module_onnx

if TYPE_CHECKING:
    from ontology.catalog import Catalog
    from ontology.describe.model import ModelFacts

__all__ = ["Brought", "Made", "bring", "describe_into", "make", "tail_of_options"]

_FORMATS = (".tflite", ".onnx")


@dataclass(frozen=True)
class Made:
    """A hybrid that was written.

    Args:
        file: where it lies.
        sha256: its digest, hex.
        bytes: its size.
        feature: name of the tensor that the tail learns from.
        feature_shape: sizes of that tensor, in elements.
        feature_type: its type: float32, int8 or uint8.
        replaced: the operator that the tail stands for; empty where the tensor was named.
        tail: widths, from the features to the outputs.
        tail_parameters: float32 values of the tail.
        trainable: float32 values that a learner finds in the file; more than those of the tail
            where layers before it are float32, too: plans then name `train_layers`.
        train_layers: what a plan names to train the tail alone.
        front: what runs the layers before the tail: `learner`, or the format of the runtime.
    """

    file: str
    sha256: str
    bytes: int
    feature: str
    feature_shape: tuple[int, ...]
    feature_type: str
    replaced: str
    tail: tuple[int, ...]
    tail_parameters: int
    trainable: int
    train_layers: int
    front: str


@dataclass(frozen=True)
class Brought:
    """A foreign model as it came.

    Args:
        facts: what it says of itself.
        data: its bytes.
        suffix: `.tflite` or `.onnx`.
    """

    facts: "ModelFacts"
    data: bytes
    suffix: str


def bring(source: str, input_shape: Sequence[int] = ()) -> Brought:
    """Read and describe a model.

    Args:
        source: a `.tflite` or `.onnx`; or FILE.py:FUNCTION, which gives a torch module.
        input_shape: of that module's input, the batch first.

    Raises:
        UsageError: it cannot be read, or has another format.
        MissingExtra: a package that is needed for the format is not installed.
        ArtifactError: it is broken.
    """
    if is_module(source):
        exported = module_onnx(source, input_shape)
        return Brought(_facts(exported, ".onnx"), exported, ".onnx")
    file = Path(source)
    if file.suffix not in _FORMATS:
        raise UsageError(
            f"{str(file)!r} came, {' and '.join(_FORMATS)} can be imported.",
            hint="FILE.py:FUNCTION for a torch module",
        )
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}.", hint="a .tflite") from None
    return Brought(_facts(data, file.suffix), data, file.suffix)


def _facts(data: bytes, suffix: str) -> "ModelFacts":
    if suffix == ".onnx":
        from server.describe_onnx import onnx_facts

        return onnx_facts(data)
    from ontology.describe.model import ModelFacts

    return ModelFacts.of(Artifact(data))


def tail_of_options(
    classes: int | None, outputs: int | None, loss: str | None, **others: object
) -> Tail | None:
    """The tail that options ask for; None: they ask for none.

    Args:
        classes: how many classes; a softmax follows.
        outputs: how many values; nothing follows.
        loss: softmax or mse, to say so once more.
        others: further fields of `Tail`.

    Raises:
        UsageError: both, or a loss that does not go with them.
    """
    if classes is not None and outputs is not None:
        raise UsageError("both --classes and --outputs came, one of them says what is learnt.")
    if classes is None and outputs is None:
        if loss is not None:
            raise UsageError(f"--loss {loss} came alone.", hint="--classes N, or --outputs N")
        return None
    fitting = "softmax" if classes is not None else "mse"
    if loss not in (None, fitting):
        wanted = "--classes" if classes is not None else "--outputs"
        raise UsageError(f"--loss {loss} came with {wanted}, which has {fitting}.")
    return Tail(classes or outputs or 0, classes=classes is not None, **others)  # type: ignore[arg-type]


def make(brought: Brought, tail: Tail, *, layer: str | None, name: str, out: Path) -> Made:
    """Write a hybrid into a folder.

    Args:
        brought: the foreign model.
        tail: what takes the place of its last layer.
        layer: the tensor to learn from, by name or number; None: found.
        name: what the new file calls itself; also that of the file.
        out: the folder; made if it is not there.

    Raises:
        ArtifactError: no tail can go there.
        UsageError: no such tensor, a tail that is none, or the folder cannot be written.
    """
    if Path(name).name != name:
        raise UsageError(f"--name {name!r} came, a name without folders is needed.")
    made = hybrid(brought.data, tail, layer=layer, name=name)
    file = out / f"{name}{brought.suffix}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        file.write_bytes(made.data)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}.", hint="--out FOLDER") from None
    return _told(made, str(file), brought.suffix)


def _told(made: Hybrid, file: str, suffix: str) -> Made:
    artifact = Artifact(made.data)
    dense = made.spec.weighted
    return Made(
        file=file,
        sha256=artifact.sha256,
        bytes=artifact.size,
        feature=made.feature.name,
        feature_shape=made.feature.shape,
        feature_type=made.feature.dtype,
        replaced=made.feature.replaced,
        tail=(dense[0].n_in, *(layer.n_out for layer in dense)),
        tail_parameters=made.spec.n_parameters,
        trainable=artifact.tail_spec.n_parameters,
        train_layers=len(dense),
        front="learner" if split(artifact) is None else suffix[1:],
    )


def describe_into(catalog: "Catalog", brought: Brought, made: Made | None, name: str) -> None:
    """Put the foreign model into a catalogue, and the hybrid as what was converted from it."""
    catalog.put_model(brought.facts, name=name)
    if made is not None:
        facts = _facts(Path(made.file).read_bytes(), brought.suffix)
        catalog.put_model(facts, name=Path(made.file).stem, derived_from=brought.facts.sha256)
