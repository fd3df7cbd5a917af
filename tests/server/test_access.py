"""Certificates and names on the command line reach the connection."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from edge.broker_options import BrokerOptions
from server.cli.access import ANONYMOUS, Access, with_access


def test_the_options_stand_where_the_parameter_does_and_come_as_one(tmp_path: Path) -> None:
    app, seen = typer.Typer(), []

    @app.command()
    @with_access
    def go(url: str, access: Access = ANONYMOUS, last: int = 1) -> None:
        """Go somewhere."""
        seen.append((access.to(url), last))

    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    for path in files.values():
        path.write_text("")
    given = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    runner = CliRunner(env={"TINYFLEET_PASSWORD": "secret", "TINYFLEET_USERNAME": "from-variable"})
    url = "mqtts://broker:8883"
    done = runner.invoke(app, [url, *given, "--username", "me", "--last", "2"])
    assert done.exit_code == 0, done.output
    named = {name: str(path) for name, path in files.items()}
    assert seen == [(BrokerOptions(url=url, username="me", password="secret", **named), 2)]
    text = runner.invoke(app, ["--help"]).output
    assert text.index("--ca") < text.index("--password") < text.index("--last")
    assert "secret" not in text


def test_nothing_is_needed() -> None:
    assert ANONYMOUS.to("mqtt://broker") == BrokerOptions(url="mqtt://broker")


def test_a_file_that_is_not_there_is_named() -> None:
    from edge.errors import UsageError

    with pytest.raises(UsageError, match="the CA file '/none' is not there"):
        Access(ca=Path("/none")).to("mqtts://broker:8883")
