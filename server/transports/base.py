"""What the coordinator needs to reach a fleet, whatever carries the bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from edge.messages import Offer

__all__ = ["Mail", "Transport"]


@dataclass(frozen=True)
class Mail:
    """Something that came from a device.

    Args:
        device: who, by the channel it came on, not by what the payload claims.
        payload: bytes of an update or a decline, unchecked; None: the device's presence changed.
    """

    device: str
    payload: bytes | None


class Transport(Protocol):
    """The way to a fleet."""

    def publish_model(self, sha256: str, artifact: bytes) -> None:
        """Make an artefact available under its digest."""

    def offer(self, offer: Offer) -> None:
        """Offer a round, also to devices that appear while it is open."""

    def ask(self, device: str, offer: Offer) -> None:
        """Offer a round to one device once more; lost where it is not online."""

    def receive(self, timeout: float) -> Mail | None:
        """Take the next mail, waiting at most `timeout` seconds; None: none came."""

    def close_round(self, run: str) -> None:
        """Withdraw the run's offer."""

    def presence(self) -> Mapping[str, bool]:
        """Every device that has shown itself, and whether it is online now."""

    def close(self) -> None:
        """Withdraw what was published and disconnect; a second call does nothing."""
