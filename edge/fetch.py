"""Fetch an artefact from its retained topic, and believe it only if its digest is right."""

import hashlib
import threading
import time
from collections.abc import Callable

import paho.mqtt.client as paho

from edge.errors import TinyfleetError
from edge.topics import SiteTopics

__all__ = ["ArtefactFetcher", "ArtefactMissing", "Superseded"]


class ArtefactMissing(TinyfleetError):
    """An artefact did not come, or not whole."""


class Superseded(Exception):
    """What was being done is no longer wanted."""


class ArtefactFetcher:
    """One artefact at a time; `receive` is called in the client's thread.

    Args:
        topics: the site's topics.
    """

    def __init__(self, topics: SiteTopics) -> None:
        """Wait for nothing yet."""
        self._topics = topics
        self._changed = threading.Condition()
        self._wanted = ""
        self._payload: bytes | None = None

    def receive(self, topic: str, payload: bytes) -> bool:
        """Take a message if it is the artefact that is waited for."""
        with self._changed:
            if not self._wanted or topic != self._topics.model(self._wanted):
                return False
            self._payload = payload or None
            self._changed.notify_all()
            return True

    def poke(self) -> None:
        """Have a waiting `fetch` look again at whether it is still wanted."""
        with self._changed:
            self._changed.notify_all()

    def reconnected(self, client: paho.Client) -> None:
        """Subscribe again after a lost connection, if an artefact is waited for."""
        with self._changed:
            wanted = self._wanted
        if wanted:
            client.subscribe(self._topics.model(wanted), 1)

    def fetch(
        self, client: paho.Client, sha256: str, timeout: float, wanted: Callable[[], bool]
    ) -> bytes:
        """Subscribe, wait for the retained artefact, check it, unsubscribe.

        Args:
            client: a connected client.
            sha256: the artefact's digest.
            timeout: seconds to wait.
            wanted: whether it is still needed.

        Returns:
            The artefact's bytes, with that digest.

        Raises:
            ArtefactMissing: nothing came in time, or other bytes.
            Superseded: it is no longer wanted.
        """
        topic = self._topics.model(sha256)
        with self._changed:
            self._wanted, self._payload = sha256, None
        client.subscribe(topic, 1)
        try:
            payload = self._wait(timeout, wanted)
        finally:
            with self._changed:
                self._wanted, self._payload = "", None
            client.unsubscribe(topic)
        if payload is None:
            raise ArtefactMissing(f"artefact {sha256[:12]} did not come in {timeout:g} s.")
        found = hashlib.sha256(payload).hexdigest()
        if found != sha256:
            raise ArtefactMissing(
                f"artefact {sha256[:12]} is damaged: {len(payload)} bytes with digest "
                f"{found[:12]} came."
            )
        return payload

    def _wait(self, timeout: float, wanted: Callable[[], bool]) -> bytes | None:
        end = time.monotonic() + timeout
        with self._changed:
            while self._payload is None and (left := end - time.monotonic()) > 0:
                if not wanted():
                    raise Superseded
                self._changed.wait(left)
            return self._payload
