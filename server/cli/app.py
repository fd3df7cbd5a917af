"""The root of the command tree, and how a command ends."""

import sys

import typer

from edge.errors import ExitCode, TinyfleetError
from server.cli import (
    broker,
    catalog,
    catalog_backup,
    catalog_describe,
    catalog_import,
    catalog_match,
    catalog_serve,
    catalog_watch,
    compare,
    device,
    doctor,
    edge,
    evaluate,
    export,
    federation,
    import_model,
    pretrain,
    report,
    rollout,
    simulate,
    simulator,
    sweep,
)
from server.cli import demo as demo_command

EXIT_CODES = """Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 a package or program is
missing, 4 no broker answers, 5 does not fit the device, 6 broken or unsupported model file,
7 bad query, 130 interrupted."""

app = typer.Typer(
    help=f"""Fleets of tiny machines that keep learning.

    Start here: tinyfleet demo

    {EXIT_CODES}""",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo_command.demo)
app.command("doctor")(doctor.doctor)
app.add_typer(broker.app, name="broker")
federation.app.command("simulate")(simulate.simulate)
federation.app.command("rollout")(rollout.rollout)
federation.app.command("compare")(compare.compare)
federation.app.command("evaluate")(evaluate.evaluate)
federation.app.command("pretrain")(pretrain.pretrain)
federation.app.command("export")(export.export)
federation.app.command("import")(import_model.import_model)
federation.app.command("report")(report.report)
federation.app.command("sweep")(sweep.sweep)
federation.app.add_typer(device.app, name="device")
app.add_typer(federation.app, name="server")
app.add_typer(edge.app, name="edge")
app.add_typer(simulator.app, name="sim")
catalog.app.command("backup")(catalog_backup.backup)
catalog.app.command("describe")(catalog_describe.describe)
catalog.app.command("export")(catalog_import.export_command)
catalog.app.command("import")(catalog_import.import_command)
catalog.app.command("match")(catalog_match.match)
catalog.app.command("migrate")(catalog_backup.migrate)
catalog.app.command("outbox")(catalog_watch.outbox)
catalog.app.command("restore")(catalog_backup.restore)
catalog.app.command("serve")(catalog_serve.serve)
catalog.app.command("watch")(catalog_watch.watch)
app.add_typer(catalog.app, name="catalog")


def main(arguments: list[str] | None = None) -> int:
    """Run one command line and return its exit code (see `edge.errors.ExitCode`)."""
    command = typer.main.get_command(app)
    try:
        result = command.main(arguments, prog_name="tinyfleet", standalone_mode=False)
    except TinyfleetError as error:
        typer.echo(f"tinyfleet: {error.message}", err=True)
        if error.hint:
            typer.echo(f"  Try: {error.hint}", err=True)
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("tinyfleet: interrupted", err=True)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return int(ExitCode.FAILED)
    except OSError as error:
        typer.echo(
            f"tinyfleet: {error.strerror or error}: {error.filename or ''}".rstrip(": "), err=True
        )
        return int(ExitCode.FAILED)
    except Exception as error:
        # Errors of the command line itself know how to show themselves. Typer may carry its own
        # copy of click, so that their class cannot be named here.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        return int(ExitCode.USAGE)
    return result if isinstance(result, int) else int(ExitCode.OK)
