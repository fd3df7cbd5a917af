"""Find the host build of the learner, or make one where a C compiler is at hand."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["FOLDER", "compiled", "library_path"]

FOLDER = Path(__file__).parent
FLAGS = ["-std=c99", "-O3", "-ffp-contract=off", "-fPIC", "-shared"]


@cache
def library_path() -> Path | None:
    """Path of the shared library; None where there is neither a build nor a compiler.

    The one that installing made comes first. Else the sources are compiled once into the user's
    cache folder, under a name made from their bytes. TINYFLEET_LEARNER=reference says not to look.
    """
    if os.environ.get("TINYFLEET_LEARNER") == "reference":
        return None
    installed = find_spec("edge.learner._tinylearn")
    if (
        installed is not None
        and installed.origin is not None
        and _is_current(Path(installed.origin))
    ):
        return Path(installed.origin)
    return _compiled()


def _sources() -> list[Path]:
    return sorted([*(FOLDER / "src").glob("*.[ch]"), *(FOLDER / "include").glob("*.h")])


def _is_current(library: Path) -> bool:
    """Whether a build belongs to the sources beside it.

    That of an installed package does, whatever the times of its files: installers write them in
    any order, and a device may have no compiler. One made in place must be newer than its sources.
    """
    if any(FOLDER.parents[1].glob("tinyfleet-*.dist-info")):
        return True
    newest = max((path.stat().st_mtime for path in _sources()), default=0.0)
    return library.stat().st_mtime >= newest


def _compiler() -> list[str] | None:
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    if find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    return None


def _compiled() -> Path | None:
    return compiled("tinylearn", _sources(), FLAGS, [FOLDER / "include"])


def compiled(
    name: str, sources: Sequence[Path], flags: Sequence[str], include: Sequence[Path]
) -> Path | None:
    """Compile C sources once into the user's cache folder, under a name made from their bytes.

    Args:
        name: of the library.
        sources: `.c` files, and the headers that they depend on.
        flags: of the compiler; they are part of the name.
        include: folders of headers.

    Returns:
        The shared library; None where there is no compiler, or it refuses, or no cache folder.
    """
    if not any(path.suffix == ".c" for path in sources):
        return None
    content = b"".join(path.read_bytes() for path in sources) + " ".join(flags).encode()
    digest = hashlib.sha256(content).hexdigest()[:16]
    c_files = [str(path) for path in sources if path.suffix == ".c"]
    try:
        cache_root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        library = cache_root / "tinyfleet" / f"{name}-{digest}-{sys.platform}.so"
        if library.exists():
            return library
        compiler = _compiler()
        if compiler is None:
            return None
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            built = Path(folder) / library.name
            folders = [f"-I{path}" for path in include]
            command = [*compiler, *flags, *folders, *c_files, "-o", str(built)]
            subprocess.run(command, check=True, capture_output=True)
            built.replace(library)
    except (OSError, RuntimeError, subprocess.CalledProcessError):  # a user may have no home
        return None
    return library
