"""Connect to an MQTT broker given as a URL: TLS, client certificate, user and password."""

import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edge import sockets
from edge.broker_options import BrokerOptions
from edge.errors import BrokerUnreachable, UsageError

__all__ = ["BrokerOptions", "Will", "close", "connect"]

START_BROKER = "tinyfleet broker start"
_CLOSED = -1
_SILENT = -2
_TRY_OLDER = (_CLOSED, _SILENT, 132)
_PATIENCE = 2.0
_plain_brokers: set[str] = set()
_REFUSED_LOGIN = (134, 135)

Connected = Callable[[paho.Client], None]
Lost = Callable[[int], None]


@dataclass(frozen=True)
class Will:
    """What the broker publishes, retained, when the connection is lost."""

    topic: str
    payload: bytes


def connect(
    options: BrokerOptions,
    *,
    client_id: str = "",
    will: Will | None = None,
    on_connect: Connected | None = None,
    on_message: Callable[[paho.MQTTMessage], None] | None = None,
    on_lost: Lost | None = None,
) -> paho.Client:
    """Connect and keep connected, in a background thread.

    MQTT 5 is tried first, then 3.1.1; a broker of the older kind may stay silent for 2 s when
    first met, and is remembered. A lost connection is made again with growing pauses.

    Args:
        options: where and how.
        client_id: unique at the broker; empty: a random one.
        will: last will.
        on_connect: called in the background thread after every connect, the first one included:
            subscribe and announce there, since sessions are clean.
        on_message: called in the background thread; it must not block.
        on_lost: called in the background thread with the reason code when a connection ends.

    Returns:
        The client; `close` it in the end.

    Raises:
        BrokerUnreachable: no broker answers, or it refuses.
    """
    refusal: int | None = None
    if options.address not in _plain_brokers:
        new = _Attempt(options, MQTTProtocolVersion.MQTTv5, client_id, will, on_connect, on_message)
        refusal = new.run(min(_PATIENCE, options.timeout))
        if refusal is None:
            return _watched(new.client, on_lost)
    if refusal is None or refusal in _TRY_OLDER:
        old = _Attempt(
            options, MQTTProtocolVersion.MQTTv311, client_id, will, on_connect, on_message
        )
        refusal = old.run(options.timeout)
        if refusal is None:
            _plain_brokers.add(options.address)
            return _watched(old.client, on_lost)
    raise _refused(options, refusal)


def _watched(client: paho.Client, on_lost: Lost | None) -> paho.Client:
    if on_lost is not None:
        tell = on_lost
        client.on_disconnect = lambda client, data, flags, code, *_: tell(int(code.value))
    return client


def close(client: paho.Client) -> None:
    """Say goodbye to the broker and end the background thread."""
    client.disconnect()
    client.loop_stop()


class _Attempt:
    """One client in one protocol version, up to its first connection."""

    def __init__(
        self,
        options: BrokerOptions,
        version: MQTTProtocolVersion,
        client_id: str,
        will: Will | None,
        on_connect: Connected | None,
        on_message: Callable[[paho.MQTTMessage], None] | None,
    ) -> None:
        self.options = options
        self.version = version
        self.announce = on_connect
        self.settled = threading.Event()
        self.refusal: int | None = _CLOSED
        self.client = _client(options, version, client_id)
        if will is not None:
            self.client.will_set(will.topic, will.payload, qos=1, retain=True)
        if on_message is not None:
            receive = on_message
            self.client.on_message = lambda client, data, message: receive(message)
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected

    def run(self, patience: float) -> int | None:
        """Connect; gives None, or the reason code of the broker's refusal."""
        options = self.options
        try:
            self.client.connect(options.host, options.port, options.keepalive)
        except (OSError, ValueError) as error:
            raise _unreachable(options, error) from error
        self.client.loop_start()
        if not self.settled.wait(patience):
            self.refusal = _SILENT
        if self.refusal is None:
            self.client.on_disconnect = None
            return None
        self.client.on_connect = self.client.on_disconnect = None
        close(self.client)
        return self.refusal

    def _connected(self, client: paho.Client, data: Any, flags: Any, code: Any, *_: Any) -> None:
        if code.is_failure:
            self.refusal = int(code.value)
        else:
            self.refusal = None
            if self.announce is not None:
                self.announce(client)
        self.settled.set()

    def _disconnected(self, *_: Any) -> None:
        self.settled.set()


def _client(options: BrokerOptions, version: MQTTProtocolVersion, client_id: str) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version)
    client.connect_timeout = options.timeout
    client.on_socket_open = lambda client, data, sock: sockets.no_delay(sock)
    client.reconnect_delay_set(min_delay=1, max_delay=30)
    client.max_inflight_messages_set(100)
    client.suppress_exceptions = False
    user, password = options.login
    if user is not None:
        client.username_pw_set(user, password)
    if options.tls:
        client.tls_set_context(_tls(options))
    return client


def _tls(options: BrokerOptions) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.ca)
        if options.cert is not None:
            context.load_cert_chain(options.cert, options.key)
    except (ssl.SSLError, OSError) as error:
        raise UsageError(
            f"the CA, certificate or key could not be read: {error}.", hint="PEM files"
        ) from error
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _unreachable(options: BrokerOptions, error: Exception) -> BrokerUnreachable:
    if isinstance(error, ssl.SSLCertVerificationError):
        why, hint = f"its certificate is not trusted ({error.verify_message})", "--ca FILE"
    elif isinstance(error, ssl.SSLError):
        why, hint = f"TLS failed ({error.reason})", "mqtt:// or mqtts://, whichever it speaks"
    else:
        why, hint = str(error), START_BROKER
    return BrokerUnreachable(f"no MQTT broker at {options.address}: {why}.", hint=hint)


def _refused(options: BrokerOptions, code: int | None) -> BrokerUnreachable:
    if code in _REFUSED_LOGIN:
        return BrokerUnreachable(
            f"the broker at {options.address} refuses this user or password.",
            hint="--username and --password",
        )
    if code == _SILENT:
        return BrokerUnreachable(
            f"{options.address} took the connection but did not answer in {options.timeout:g} s.",
            hint="whether that port is an MQTT broker's",
        )
    why = "closed the connection" if code == _CLOSED else f"refused with reason code {code}"
    return BrokerUnreachable(
        f"the broker at {options.address} {why}.",
        hint="--cert and --key, or the broker's log",
    )
