"""`--config FILE.toml`: flags from a file; one on the command line wins."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from edge.errors import UsageError

__all__ = ["Config"]


def _load(context: typer.Context, path: Path | None) -> Path | None:
    """Make a file's values the defaults of the command's flags."""
    if path is None:
        return None
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.") from error
    flags = {
        flag.lstrip("-").replace("-", "_"): parameter
        for parameter in context.command.params
        for flag in parameter.opts
        if parameter.name != "config"
    }
    defaults: dict[str, Any] = {}
    for name, value in found.items():
        parameter = flags.get(name.replace("-", "_"))
        if parameter is None:
            near = difflib.get_close_matches(name, flags) or sorted(flags)
            raise UsageError(f"{path}: {name!r} is no flag of this command.", hint=", ".join(near))
        defaults[str(parameter.name)] = _value(path, name, value, parameter)
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def _value(path: Path, name: str, value: Any, parameter: Any) -> Any:
    """A table becomes NAME=VALUE texts, for a flag that is given more than once."""
    if isinstance(value, dict) and parameter.multiple:
        return [f"{key}={_text(entry)}" for key, entry in value.items()]
    if not isinstance(value, dict | list) and not parameter.multiple:
        return value
    needed = "a table" if parameter.multiple else "one value"
    raise UsageError(f"{path}: {name} needs {needed}, {str(value)[:60]} came.")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=_load,
        is_eager=True,
        help="A TOML file of flags; those on the command line win.",
    ),
]
