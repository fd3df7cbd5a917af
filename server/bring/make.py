"""Make the hybrid of a model of others: in a file of its own, whole, and seen to run."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge.artifact import Artifact
from edge.atomic import replace_file
from edge.errors import UsageError
from edge.split import split
from server.bring.bring import Brought, facts_in
from server.bring.hybrid import Hybrid, hybrid
from server.bring.tail import Tail
from server.bring.trial import tried
from server.model_file import Format

if TYPE_CHECKING:
    from ontology.catalog import Catalog

__all__ = ["Made", "describe_into", "make", "new_file", "written"]


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
        tried: what ran it here once; empty where no runtime for it is installed.
        tail_kept: whether the tail has the weights of the layer that it stands for; else it is new.
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
    tried: str
    tail_kept: bool


def make(brought: Brought, tail: Tail, *, layer: str | None, name: str, out: Path) -> Made:
    """Write a hybrid into a folder, once it was seen to run.

    Args:
        brought: the foreign model.
        tail: what takes the place of its last layer.
        layer: the tensor to learn from, by name or number; None: found.
        name: what the new file calls itself; also that of the file.
        out: the folder; made if it is not there.

    Raises:
        ArtifactError: no tail can go there, or no runtime that is here runs the hybrid.
        UsageError: no such tensor, a tail that is none, a name that would replace the foreign
            model, or the folder cannot be written.
    """
    file = new_file(brought, out, name, brought.suffix)
    made = hybrid(brought.data, tail, layer=layer, name=name)
    ran = tried(made.data)
    written(file, made.data)
    return _told(made, str(file), brought.suffix, ran, kept=tail.keep)


def new_file(brought: Brought, out: Path, name: str, suffix: Format) -> Path:
    """Where a file that is made of a foreign model goes.

    Raises:
        UsageError: a name that no file can have, or that of the foreign model itself.
    """
    _check_name(name)
    file = out / f"{name}{suffix}"
    try:
        same = brought.file is not None and _same(file, brought.file)
    except OSError as error:
        raise _unwritten(file, error) from None
    if same:
        raise UsageError(
            f"the new file would replace {brought.file}, which it is made from.",
            hint=f"--name {name}-new, or another --out",
        )
    return file


def written(file: Path, data: bytes) -> None:
    """Write a new file, whole; its folder is made if it is not there.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, data)
    except OSError as error:
        raise _unwritten(file, error) from None


def describe_into(catalog: "Catalog", brought: Brought, made: Path | None, name: str) -> None:
    """Put the foreign model into a catalogue, and a new file as what was converted from it."""
    catalog.put_model(brought.facts, name=name)
    if made is not None:
        suffix: Format = ".onnx" if made.suffix == ".onnx" else ".tflite"
        facts = facts_in(made.read_bytes(), suffix)
        catalog.put_model(facts, name=made.stem, derived_from=brought.facts.sha256)


def _unwritten(file: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write {file}: {error.strerror}.", hint="--out FOLDER")


def _check_name(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"the name {name!r} is no UTF-8 text.", hint="--name with another one"
        ) from None
    if not name.strip(".") or "\0" in name or Path(name).name != name:
        raise UsageError(f"--name {name!r} came, a name without folders is needed.")


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file; links count as what they lead to."""
    return one.exists() and one.samefile(other)


def _told(made: Hybrid, file: str, suffix: Format, ran: str, *, kept: bool) -> Made:
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
        tried=ran,
        tail_kept=kept,
    )
