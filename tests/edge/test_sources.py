"""Sources that a user names: tables, topics, kernel sensors, and labels that come late."""

import io
import json
import os
import pty
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import mqtt
from edge.broker import LocalBroker, find_mosquitto, has_amqtt
from edge.errors import UsageError
from edge.faults import SourceError
from edge.host import HostWorker
from edge.lines import WAITING, JsonLines
from edge.mqtt_source import MqttSource
from edge.raw_lines import RawLines
from edge.sources import open_source
from edge.topics import check_filter
from server.cli import main


def lines(*texts) -> JsonLines:
    return JsonLines(io.StringIO("\n".join(texts)))


def test_a_label_may_come_after_its_sample_and_after_others() -> None:
    source = lines(
        '{"id": "a", "x": [1, 2]}', '{"x": [5, 5], "y": 0}', '{"id": "b", "x": [3, 4]}',
        '{"id": "b", "y": 1}', '{"id": "zzz", "y": 7}', '{"id": "a", "y": [2]}',
    )  # fmt: skip
    seen = [source.next_sample() for _ in range(3)]
    assert [(x.tolist(), y.tolist()) for x, y in seen] == [
        ([5, 5], [0]), ([3, 4], [1]), ([1, 2], [2]),
    ]  # fmt: skip
    with pytest.raises(StopIteration):
        source.next_sample()
    source.rewind()
    assert source.next_sample()[0].tolist() == [5, 5]


def test_a_label_with_its_sample_needs_no_wait_and_an_old_one_is_given_up() -> None:
    assert lines('{"id": "q", "x": [1], "y": 3}').next_sample()[1].tolist() == [3]
    many = [json.dumps({"id": i, "x": [i]}) for i in range(WAITING + 1)]
    source = lines(*many, '{"id": 0, "y": 0}', '{"id": 1, "y": 1}')
    assert source.next_sample()[0].tolist() == [1]


@given(st.text(max_size=80))
def test_any_line_is_a_sample_or_refused(text) -> None:
    source = lines(text)
    try:
        x, y = source.next_sample()
    except (SourceError, StopIteration):
        return
    assert x.ndim == y.ndim == 1 and x.size and y.size


@pytest.mark.skipif(not (find_mosquitto() or has_amqtt()), reason="no broker here")
def test_samples_come_by_topic_with_late_labels_and_nonsense_between(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with LocalBroker() as broker:
        source = open_source("mqtt:plant/+/vibration", broker.options)
        assert isinstance(source, MqttSource)
        sender = mqtt.connect(broker.options)
        time.sleep(0.3)  # until the subscription is in force
        for topic, payload in (
            ("plant/a/vibration", b'{"id": 1, "x": [1, 2]}'),
            ("plant/a/noise", b'{"x": [9], "y": 9}'),
            ("plant/b/vibration", b'{"x": [3,\n 4], "y": 1}'),
            ("plant/b/vibration", b"\xff\x00"),
            ("plant/a/vibration", b'{"id": 1, "y": 0}'),
        ):
            sender.publish(topic, payload, 1).wait_for_publish(5)
        assert source.next_sample()[0].tolist() == [3, 4]
        with caplog.at_level("WARNING", logger="tinyfleet.samples"):
            x, y = source.next_sample()
        assert "message 3: " in caplog.text
        assert (x.tolist(), y.tolist()) == ([1, 2], [0])
        source._patience = 0.05
        with pytest.raises(StopIteration):
            source.next_sample()
        source.close()
        mqtt.close(sender)


def test_a_second_epoch_has_the_samples_of_its_own_pass() -> None:
    source = lines(*(f'{{"x": [{n}], "y": 0}}' for n in range(9)))

    def take(count: int) -> list[float]:
        return [float(source.next_sample()[0][0]) for _ in range(count)]

    for first in (0, 3, 6):
        own = [first, first + 1, first + 2]
        assert take(3) == own
        for _ in range(2):
            source.rewind()
            assert take(3) == own


def test_a_bad_line_costs_nothing_but_itself(caplog: pytest.LogCaptureFixture) -> None:
    source = lines('{"x": [1], "y": 0}', "not json", '{"x": "a", "y": 0}', '{"x": [2], "y": 1}')
    with caplog.at_level("WARNING", logger="tinyfleet.samples"):
        assert [source.next_sample()[0].tolist() for _ in range(2)] == [[1], [2]]
    assert "line 2: no JSON object with x and y: 'not json'" in caplog.text
    assert "line 3" in caplog.text


def test_a_stream_of_bad_lines_is_refused() -> None:
    source = lines(*["not json"] * 40)
    with pytest.raises(SourceError, match="line"):
        source.next_sample()


def test_good_lines_between_end_a_row_of_bad_ones() -> None:
    waiting = '{"id": "w", "x": [1]}'
    source = lines(*["not json", waiting] * 40, '{"x": [2], "y": 1}')
    assert source.next_sample()[0].tolist() == [2]


def test_a_label_that_no_sample_waits_for_is_told(caplog: pytest.LogCaptureFixture) -> None:
    source = lines(*['{"id": "part-7", "y": 1}'] * 20, '{"id": "part-7", "x": [2], "y": 0}')
    assert source.next_sample()[1].tolist() == [0]
    assert "line 1: a label came for 'part-7', no sample of that id waits" in caplog.text
    assert len(caplog.records) == 10


@pytest.mark.parametrize("bad", [b"\xff\xfe", b'{"x": [1], "y": 0, "n": "\xe9', b"\xed\xa0\x80"])
def test_a_byte_that_is_no_utf8_costs_its_own_line_only(bad: bytes, monkeypatch) -> None:
    good = [f'{{"x": [{n}], "y": 0}}'.encode() for n in range(40)]
    whole = b"\n".join([b"\xef\xbb\xbf" + good[0], *good[1:20], bad, *good[20:]])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(whole), encoding="utf-8"))
    source = open_source("-")
    assert [source.next_sample()[0].item() for _ in range(40)] == list(range(40))
    with pytest.raises(StopIteration):
        source.next_sample()
    source = JsonLines(io.BytesIO(b'{"id": "caf\xe9", "x": [3], "y": 1, "n": "\xff"}'))
    assert source.next_sample()[0].tolist() == [3]


def test_a_closed_stdin_is_refused(monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="stdin is closed"):
        open_source("-")


def stdin_of(file: int, monkeypatch: pytest.MonkeyPatch) -> HostWorker:
    """A worker whose samples come on this file as stdin."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.FileIO(file))))
    return HostWorker(open_source("-"))


@pytest.mark.parametrize("name", [os.devnull, "empty.jsonl"])
def test_a_stdin_without_a_line_is_told_at_the_start(name, tmp_path, monkeypatch, caplog) -> None:
    (tmp_path / "empty.jsonl").touch()
    with caplog.at_level("INFO", logger="tinyfleet.samples"):
        worker = stdin_of(os.open(tmp_path / name, os.O_RDONLY), monkeypatch)
        assert worker.check() and worker.check()
    assert [record.getMessage() for record in caplog.records] == ["no samples came, not one line"]


def test_the_end_of_a_pipe_is_told_once_though_nobody_asks(monkeypatch, caplog) -> None:
    reading, writing = os.pipe()
    with caplog.at_level("INFO", logger="tinyfleet.samples"):
        worker = stdin_of(reading, monkeypatch)
        os.write(writing, b'{"x": [1], "y": 0}\n{"x": [2], ')
        assert worker.check()
        source = worker._intake._sensor
        assert source.next_sample()[0].tolist() == [1]
        os.write(writing, b'"y": 0}')
        os.close(writing)
        assert worker.check() and not caplog.records
        assert source.next_sample()[0].tolist() == [2]
        assert worker.check() and worker.check() and len(caplog.records) == 1
        with pytest.raises(StopIteration):
            source.next_sample()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["no more samples came after line 2"]


def test_looking_for_the_end_loses_no_line_of_a_file(tmp_path, monkeypatch, caplog) -> None:
    (tmp_path / "s.jsonl").write_text('{"x": [1], "y": 0}\n{"x": [2], "y": 0}')
    worker = stdin_of(os.open(tmp_path / "s.jsonl", os.O_RDONLY), monkeypatch)
    source = worker._intake._sensor
    assert [source.next_sample()[0].item() for _ in range(2) if worker.check()] == [1, 2]


def test_a_terminal_is_not_read_before_a_sample_is_asked_for() -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b"typed\n")
    with io.FileIO(theirs) as terminal:
        lines = RawLines(terminal)
        assert not lines.ended
        assert lines.readline() == b"typed\n"
    os.close(ours)


@pytest.mark.parametrize("topic", ["", "a/#/b", "#/a", "a/b+", "+a/b", "a#", "a\x00b", "a" * 65536])
def test_what_is_no_topic_filter_is_refused_before_a_broker_is_asked(topic, capsys) -> None:
    command = ["edge", "run", "--id", "d1", "--broker", "mqtt://127.0.0.1:9", "--samples"]
    assert main([*command, f"mqtt:{topic}"]) == 2
    assert "is no topic or topic filter" in capsys.readouterr().err


@pytest.mark.parametrize("topic", ["a", "#", "+", "a/#", "a/+/b", "/", "a//b", "$share/g/a", "ä b"])
def test_topic_filters_are_taken(topic) -> None:
    assert check_filter(topic) == topic


@given(st.binary(max_size=400), st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_raw_lines_are_those_of_the_file_however_it_comes(data: bytes, sizes: list[int]) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.left, self.turn = data, 0

        def read(self, size: int = -1) -> bytes:
            self.turn += 1
            size = sizes[self.turn % len(sizes)]
            given, self.left = self.left[:size], self.left[size:]
            return given

    lines = RawLines(Pipe())
    assert list(iter(lines.readline, b"")) == io.BytesIO(data).readlines()


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with io.FileIO(reading) as file:
        later = threading.Timer(0.1, os.write, (writing, b"one\n"))
        later.start()
        lines = RawLines(file)
        assert lines.readline() == b"one\n"
        later.join()
        os.close(writing)
        assert lines.readline() == b""
