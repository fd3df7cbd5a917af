"""A folder of exported files: what an earlier export left goes, what is a user's own stays."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge.atomic import replace_file
from edge.errors import UsageError
from server.export.wanted import DTYPES

__all__ = ["REPORTS", "SUMS", "add_reports", "make_folder", "publish", "writing"]

SUMS = "SHA256SUMS"
"""Digests of the files, as `sha256sum --check` reads them; what it lists, an export has written."""
REPORTS = ("parity.json", "parity.md", "parity.html")
_LINE = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")
_EXPORTED = re.compile(rf"model\.({'|'.join(DTYPES.values())})\.(tflite|onnx|h)")


def make_folder(folder: Path) -> None:
    """Make a folder for exported files.

    Raises:
        UsageError: it cannot be written to.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise UsageError(f"the folder {folder} is not writable.", hint="--out exports")


def publish(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files and their digests, and remove files and reports of an earlier export.

    Args:
        folder: it is there.
        files: content by name; the names are such as an export gives.

    Raises:
        UsageError: one of the names, or of the reports', is a file that no export has written, such
            as the model that is exported; or the folder cannot be written to. Nothing is changed
            then.
    """
    with writing(folder):
        listed = _listed(folder)
        older = [name for name in listed if _digest(folder / name) in listed[name]]
        for name in (*files, *REPORTS):
            if name not in older and not _holds(folder / name, files.get(name)):
                raise _not_ours(folder / name, name in listed)
        # Both lists, so that whatever is left of a crash is known to be ours.
        _write_sums(folder, [*listed.items(), *_sums(files).items()])
        for name in REPORTS:
            (folder / name).unlink(missing_ok=True)
        for name, data in files.items():
            replace_file(folder / name, data)
        for name in set(older) - files.keys() - set(REPORTS):
            (folder / name).unlink()
        _write_sums(folder, _sums(files).items())


def add_reports(folder: Path, reports: Mapping[str, bytes]) -> None:
    """Write reports on the files that were published.

    Args:
        folder: where.
        reports: content by name, of `REPORTS`.

    Raises:
        UsageError: the folder cannot be written to.
    """
    with writing(folder):
        _write_sums(folder, [*_listed(folder).items(), *_sums(reports).items()])
        for name, data in reports.items():
            replace_file(folder / name, data)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say of whatever goes wrong with a disk which folder it was."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write to the folder {folder}: {error.strerror}.", hint="--out exports"
        ) from error


def _listed(folder: Path) -> dict[str, set[str]]:
    """Digests that an export has written down, by name.

    Raises:
        UsageError: the list is somebody else's.
    """
    path = folder / SUMS
    if not os.path.lexists(path):
        return {}
    found: dict[str, set[str]] = {}
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else [""]:
        match = _LINE.fullmatch(line)
        if match is None or not (_EXPORTED.fullmatch(match[2]) or match[2] in REPORTS):
            raise _not_ours(path, listed=False)
        found.setdefault(match[2], set()).add(match[1])
    return found


def _not_ours(path: Path, listed: bool) -> UsageError:
    said = f"was changed since an export wrote it; {SUMS} has another digest"
    known = said if listed else "is there, and no export has written it"
    return UsageError(f"{path} {known}.", hint="move it away, or another --out")


def _sums(files: Mapping[str, bytes]) -> dict[str, set[str]]:
    return {name: {hashlib.sha256(data).hexdigest()} for name, data in files.items()}


def _write_sums(folder: Path, sums: Iterable[tuple[str, set[str]]]) -> None:
    lines = (f"{digest}  {name}\n" for name, digests in sums for digest in sorted(digests))
    replace_file(folder / SUMS, "".join(lines).encode())


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _holds(path: Path, data: bytes | None) -> bool:
    """Whether there is nothing, or this."""
    return not os.path.lexists(path) or (path.is_file() and path.read_bytes() == data)
