"""The options by which a broker lets a command in, declared once for all commands."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from edge.mqtt import BrokerOptions

__all__ = ["ANONYMOUS", "Access", "with_access"]

T = TypeVar("T")


@dataclass(frozen=True)
class Access:
    """Certificates and names; each field is an option of a command that is `with_access`."""

    ca: Annotated[Path | None, typer.Option("--ca", help="CA certificate (PEM) of the broker.")] = (
        None
    )
    cert: Annotated[Path | None, typer.Option("--cert", help="Client certificate (PEM).")] = None
    key: Annotated[
        Path | None, typer.Option("--key", help="Key of the client certificate (PEM).")
    ] = None
    username: Annotated[
        str | None, typer.Option("--username", envvar="TINYFLEET_USERNAME", help="Broker user.")
    ] = None
    password: Annotated[
        str | None,
        typer.Option("--password", envvar="TINYFLEET_PASSWORD", help="Better: the variable."),
    ] = None

    def to(self, url: str) -> "BrokerOptions":
        """How to reach the broker at an address.

        Raises:
            UsageError: the address is none.
        """
        from edge.mqtt import BrokerOptions

        files = (None if path is None else str(path) for path in (self.ca, self.cert, self.key))
        ca, cert, key = files
        return BrokerOptions(
            url=url, ca=ca, cert=cert, key=key, username=self.username, password=self.password
        )


ANONYMOUS = Access()


def with_access(command: Callable[..., T]) -> Callable[..., T]:
    """Put the options of `Access` where a command has a parameter `access`, which it gets whole."""
    options = inspect.signature(Access).parameters

    @wraps(command)
    def run(**given: Any) -> T:
        return command(access=Access(**{name: given.pop(name) for name in options}), **given)

    signature = inspect.signature(command)
    parameters = [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for stated in signature.parameters.values()
        for one in (options.values() if stated.name == "access" else (stated,))
    ]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
