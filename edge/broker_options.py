"""Where the MQTT broker is, and how to be let in."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from edge.errors import UsageError

__all__ = ["BrokerOptions"]

_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, kw_only=True)
class BrokerOptions:
    """Where the broker is and how to be let in.

    Args:
        url: `mqtt://host:port` or `mqtts://host:port` (TLS); user and password may stand in it.
        ca: PEM file of the authority to trust; None: the system's.
        cert: PEM file of the client certificate.
        key: PEM file of its key; None: it is in `cert`.
        username: user to log in as.
        password: the user's password.
        insecure: with `mqtts://`, take any certificate (tests only).
        timeout: seconds to wait for the first connection.
        keepalive: seconds between signs of life.

    Raises:
        UsageError: the URL is not one of the two forms, or a file is not there.
    """

    url: str = "mqtt://127.0.0.1:1883"
    ca: Path | str | None = None
    cert: Path | str | None = None
    key: Path | str | None = None
    username: str | None = None
    password: str | None = None
    insecure: bool = False
    timeout: float = 10.0
    keepalive: int = 30

    def __post_init__(self) -> None:
        """Check the URL and the files before anything is tried."""
        try:
            parts = urlsplit(self.url)
            known = parts.scheme in _PORTS and parts.hostname and parts.port != 0
        except ValueError:
            known = None
        if not known or parts.path not in ("", "/"):
            raise UsageError(
                f"the broker URL {self.url!r} is not mqtt://host:port or mqtts://host:port.",
                hint="mqtt://127.0.0.1:1883",
            )
        for what, path in (("CA", self.ca), ("certificate", self.cert), ("key", self.key)):
            if path is not None and not Path(path).is_file():
                raise UsageError(f"the {what} file {str(path)!r} is not there.")
            if path is not None and not self.tls:
                raise UsageError(
                    f"a {what} file needs TLS, and {self.url!r} is without.", hint="mqtts://"
                )

    @property
    def host(self) -> str:
        """Name or address of the broker."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """TCP port; 1883 or, with TLS, 8883 where the URL has none."""
        parts = urlsplit(self.url)
        return parts.port or _PORTS[parts.scheme]

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def address(self) -> str:
        """The URL without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{urlsplit(self.url).scheme}://{host}:{self.port}"

    @property
    def login(self) -> tuple[str | None, str | None]:
        """User and password; what is given apart goes before what stands in the URL."""
        parts = urlsplit(self.url)
        named = [
            None if part is None else unquote(part) for part in (parts.username, parts.password)
        ]
        return self.username or named[0], self.password or named[1]
