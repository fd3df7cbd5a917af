"""Errors that a user sees, and the exit codes they end a command with."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the `tinyfleet` command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    MISSING_EXTRA = 3
    NO_BROKER = 4
    DOES_NOT_FIT = 5
    BAD_ARTIFACT = 6
    BAD_QUERY = 7
    INTERRUPTED = 130


class TinyfleetError(Exception):
    """An error with a remedy.

    Args:
        message: what came and what is allowed, in one line.
        hint: what to try next; empty if there is nothing useful to say.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the message and the hint apart, so that a caller can lay them out."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Give the message, and the hint where there is one."""
        return f"{self.message} Try: {self.hint}" if self.hint else self.message


class UsageError(TinyfleetError):
    """A name, number or file given by the user is not one that is allowed."""

    exit_code = ExitCode.USAGE


class MissingExtra(TinyfleetError):
    """A package or program that is not installed is needed."""

    exit_code = ExitCode.MISSING_EXTRA


class BrokerUnreachable(TinyfleetError):
    """No MQTT broker answers at the given URL."""

    exit_code = ExitCode.NO_BROKER


class DoesNotFit(TinyfleetError):
    """A model, or training it, needs more memory than a device has.

    Args:
        message: what does not fit where.
        needed: bytes needed.
        available: bytes there.
        hint: what to try next.
    """

    exit_code = ExitCode.DOES_NOT_FIT

    def __init__(self, message: str, *, needed: int, available: int, hint: str = "") -> None:
        """Keep both figures, so that a caller can report them."""
        super().__init__(message, hint=hint)
        self.needed = needed
        self.available = available


class ArtifactError(TinyfleetError):
    """A model file is broken, or holds something that is not supported."""

    exit_code = ExitCode.BAD_ARTIFACT


class QueryError(TinyfleetError):
    """A SPARQL query is malformed or not allowed."""

    exit_code = ExitCode.BAD_QUERY
