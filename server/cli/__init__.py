"""The `tinyfleet` command: a thin face over the library, one file per group of commands."""

from server.cli.app import main

__all__ = ["main"]
