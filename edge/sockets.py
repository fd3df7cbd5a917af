"""Two things that every TCP connection on this machine needs."""

import contextlib
import socket
from typing import Any

__all__ = ["free_port", "no_delay"]

LOOPBACK = "127.0.0.1"


def no_delay(sock: Any) -> None:
    """Send small packets at once: without it a 5 kB exchange takes 88 ms instead of 0.3 ms."""
    with contextlib.suppress(OSError, AttributeError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def free_port() -> int:
    """A TCP port on loopback that is free at this moment."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return int(sock.getsockname()[1])


def answers(port: int) -> bool:
    """Whether something takes connections at a loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=0.5).close()
    except OSError:
        return False
    return True
