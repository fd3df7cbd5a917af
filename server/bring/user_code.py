"""Run a Python file of the user's as Python itself would, and take a function of it."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from edge.errors import TinyfleetError, UsageError

__all__ = ["running"]


@contextmanager
def running(text: str) -> Iterator[Callable[[], Any]]:
    """Execute a file, and lend a function of it.

    While it is lent, the file is a module that can be found by its name, modules beside it can be
    imported, and what it prints goes to standard error.

    Args:
        text: FILE.py:FUNCTION; the function takes no arguments.

    Yields:
        The function.

    Raises:
        UsageError: no such file or function; or the file, the function or what is made of it fails.
    """
    file, _, function = text.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"there is no file {file}.", hint="FILE.py:FUNCTION")
    try:
        with redirect_stdout(sys.stderr), _beside(path) as code:
            factory = getattr(code, function, None)
            if not callable(factory):
                raise UsageError(f"{file} has no function {function!r}.", hint="FILE.py:FUNCTION")
            yield factory
    except TinyfleetError:
        raise
    except SystemExit as error:
        raise UsageError(
            f"{text} ends the program (SystemExit {error.code}).",
            hint="a file that can be imported: 'if __name__ == \"__main__\":' before what runs",
        ) from error
    except Exception as error:
        said = " ".join(str(error).split())[:200]
        raise UsageError(f"{text} fails: {type(error).__name__}: {said}.") from error


@contextmanager
def _beside(path: Path) -> Iterator[ModuleType]:
    """A file as a module."""
    name, folder = f"imported_{path.stem}", str(path.resolve().parent)
    spec = importlib.util.spec_from_loader(name, SourceFileLoader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    sys.modules[name] = code
    sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(code)
        yield code
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
        sys.modules.pop(name, None)
