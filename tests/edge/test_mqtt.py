import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from edge import sockets
from edge.broker import Kind, LocalBroker, find_mosquitto, has_amqtt
from edge.errors import BrokerUnreachable, ExitCode, UsageError
from edge.mqtt import BrokerOptions, Will, close, connect
from tests.edge import certificates

mosquitto = pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
amqtt = pytest.mark.skipif(not has_amqtt(), reason="amqtt is not installed")
KINDS = [pytest.param("mosquitto", marks=mosquitto), pytest.param("amqtt", marks=amqtt)]


@pytest.fixture(params=KINDS)
def broker(request: pytest.FixtureRequest) -> Iterator[LocalBroker]:
    kind: Kind = request.param
    with LocalBroker(kind=kind) as running:
        yield running


class Inbox:
    """Messages of one subscription, and a way to wait for them."""

    def __init__(self, options: BrokerOptions, topic: str) -> None:
        self.found: list[tuple[str, bytes, bool]] = []
        self.changed = threading.Condition()
        self.subscribed = threading.Event()
        self.client = connect(options, on_message=self.add)
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.subscribe(topic, 1)
        assert self.subscribed.wait(10)

    def add(self, message: paho.MQTTMessage) -> None:
        with self.changed:
            self.found.append((message.topic, message.payload, message.retain))
            self.changed.notify_all()

    def wait(self, n: int = 1) -> list[tuple[str, bytes, bool]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.found) >= n, 10), self.found
            return list(self.found)


def test_large_and_retained_messages_arrive(broker: LocalBroker) -> None:
    sender = connect(broker.options, client_id="sender")
    payload = os.urandom(300_000)
    sender.publish("a/large", payload, qos=1, retain=True).wait_for_publish(10)
    inbox = Inbox(broker.options, "a/+")
    assert inbox.wait() == [("a/large", payload, True)]
    close(sender)
    close(inbox.client)


def test_the_newest_protocol_the_broker_takes_is_spoken(broker: LocalBroker) -> None:
    client = connect(broker.options)
    sock = client.socket()
    assert isinstance(sock, socket.socket)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert client.protocol == (5 if broker.kind == "mosquitto" else 4)
    close(client)


def test_the_will_speaks_for_a_client_that_vanishes(broker: LocalBroker) -> None:
    inbox = Inbox(broker.options, "will")
    client = connect(broker.options, will=Will("will", b"gone"))
    client.loop_stop()
    sock = client.socket()
    assert sock is not None
    sock.close()
    assert inbox.wait()[0][1] == b"gone"
    close(inbox.client)
    late = Inbox(broker.options, "will")
    assert set(late.wait()) == {("will", b"gone", True)}
    close(late.client)


def test_no_broker_is_one_clear_error() -> None:
    options = BrokerOptions(url=f"mqtt://127.0.0.1:{sockets.free_port()}")
    with pytest.raises(BrokerUnreachable, match="no MQTT broker at mqtt://127") as caught:
        connect(options)
    assert caught.value.hint == "tinyfleet broker start"
    assert caught.value.exit_code == ExitCode.NO_BROKER


def test_a_port_that_is_no_broker_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerUnreachable, match="did not answer"):
            connect(BrokerOptions(url=url, timeout=0.3))


@pytest.mark.parametrize(
    "url", ["", "localhost", "http://x", "mqtt://", "mqtt://h:x", "mqtt://h:99999", "mqtt://h/p"]
)
def test_a_wrong_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match="broker URL"):
        BrokerOptions(url=url)


def test_what_a_url_says() -> None:
    options = BrokerOptions(url="mqtts://ann:p%40ss@[::1]")
    assert (options.host, options.port, options.tls) == ("::1", 8883, True)
    assert options.login == ("ann", "p@ss")
    assert options.address == "mqtts://[::1]:8883"
    assert replace(options, username="bob", password="x").login == ("bob", "x")


def test_a_missing_certificate_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.pem"):
        BrokerOptions(url="mqtts://h", ca=tmp_path / "nowhere.pem")
    junk = tmp_path / "junk.pem"
    junk.write_text("not a certificate")
    with pytest.raises(UsageError, match="needs TLS"):
        BrokerOptions(url="mqtt://h", ca=junk)
    with pytest.raises(UsageError, match="could not be read"):
        connect(BrokerOptions(url="mqtts://127.0.0.1:1", ca=junk))


needs_tls = pytest.mark.skipif(
    shutil.which("openssl") is None or find_mosquitto() is None,
    reason="openssl or mosquitto is not installed",
)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, BrokerOptions]]:
    folder = tmp_path_factory.mktemp("tls")
    certificates.make(folder)
    path = find_mosquitto()
    assert path is not None
    tool = shutil.which("mosquitto_passwd") or str(path.with_name("mosquitto_passwd"))
    if not Path(tool).exists():
        tool = "/usr/bin/mosquitto_passwd"
    subprocess.run([tool, "-c", "-b", folder / "users", "ann", "secret"], check=True)
    lines = (
        "allow_anonymous false",
        f"password_file {folder}/users",
        f"cafile {folder}/ca.pem",
        f"certfile {folder}/server.pem",
        f"keyfile {folder}/server.key",
        "require_certificate true",
    )
    with LocalBroker(kind="mosquitto", listener=lines) as broker:
        yield (
            folder,
            BrokerOptions(
                url=broker.url.replace("mqtt:", "mqtts:"),
                ca=folder / "ca.pem",
                cert=folder / "client.pem",
                key=folder / "client.key",
                username="ann",
                password="secret",
            ),
        )


@needs_tls
def test_tls_with_client_certificate_and_password(tls: tuple[Path, BrokerOptions]) -> None:
    inbox = Inbox(tls[1], "a")
    inbox.client.publish("a", b"hello", qos=1)
    assert inbox.wait()[0][1] == b"hello"
    close(inbox.client)


@needs_tls
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"password": "wrong"}, "user or password"),
        ({"username": None, "password": None}, "user or password"),
        ({"ca": None}, "not trusted"),
        ({"cert": None, "key": None}, "closed the connection"),
    ],
)
def test_tls_refusals_say_why(
    tls: tuple[Path, BrokerOptions], changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(BrokerUnreachable, match=reason):
        connect(replace(tls[1], **changes))  # type: ignore[arg-type]


@needs_tls
def test_plain_text_to_a_tls_port_is_refused(tls: tuple[Path, BrokerOptions]) -> None:
    with pytest.raises(BrokerUnreachable):
        connect(BrokerOptions(url=tls[1].url.replace("mqtts", "mqtt")))


def test_the_broker_listens_on_loopback_only_and_ends(broker: LocalBroker) -> None:
    assert sockets.answers(broker.port)
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    hexed = f":{broker.port:04X}"
    listening = {row[1] for row in rows if row[1].endswith(hexed) and row[3] == "0A"}
    assert listening == {f"0100007F{hexed}"}
    broker.stop()
    assert not sockets.answers(broker.port)
    broker.stop()


def test_a_taken_port_is_one_clear_error(broker: LocalBroker) -> None:
    with pytest.raises(BrokerUnreachable, match="taken"):
        LocalBroker(broker.port, kind=broker.kind).start()


@mosquitto
def test_retained_messages_survive_where_a_directory_is_given(tmp_path: Path) -> None:
    with LocalBroker(kind="mosquitto", directory=tmp_path / "kept") as broker:
        client = connect(broker.options)
        client.publish("kept", b"1", qos=1, retain=True).wait_for_publish(10)
        close(client)
    with LocalBroker(kind="mosquitto", directory=tmp_path / "kept") as broker:
        inbox = Inbox(broker.options, "kept")
        assert inbox.wait()[0][1] == b"1"
        close(inbox.client)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_broker_ends_with_its_parent(kind: Kind, number: int) -> None:
    script = (
        "import time; from edge.broker import LocalBroker\n"
        f"with LocalBroker(kind={kind!r}) as b: print(b.port, flush=True); time.sleep(60)\n"
    )
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    with parent.stdout:
        port = int(parent.stdout.readline())
    assert sockets.answers(port)
    parent.send_signal(number)
    parent.wait(10)
    end = time.monotonic() + 10
    while sockets.answers(port) and time.monotonic() < end:
        time.sleep(0.02)
    assert not sockets.answers(port)
