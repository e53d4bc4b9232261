"""``f2v-bench``: sub-commands, error messages and exit codes."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

import f2v_bench
from f2v_bench.cli import assets, compare, data, doctor, dub, report, run, score, train
from f2v_bench.cli.console import error_console
from f2v_bench.errors import ClipFailure, F2VError

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="f2v-bench",
    help="A benchmark for video-to-speech synthesis: speech from a silent video of a talking face.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 all scored, 2 bad usage or something missing, 3 some clips failed, 130 interrupted.",
)
app.command("run", epilog=run.EXAMPLES)(run.run)
app.command("score", epilog=score.EXAMPLES)(score.score)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("dub", epilog=dub.EXAMPLES)(dub.dub)
app.command("report", epilog=report.EXAMPLES)(report.report)
app.command("compare", epilog=compare.EXAMPLES)(compare.compare)
app.add_typer(data.app, name="data")
app.add_typer(assets.app, name="assets")
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(f2v_bench.__version__)
        raise typer.Exit


def main() -> NoReturn:
    """Run the command line; every expected error becomes one message and an exit code."""
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except (F2VError, ClipFailure) as error:
        error_console().print("[bold red]error:[/]", end=" ")
        error_console().print(str(error), markup=False, highlight=False)
        code = EXIT_USAGE
    except Exception as error:  # usage errors of click have a method that prints them; others are bugs
        print_usage_error = getattr(error, "show", None)
        if print_usage_error is None:
            raise
        print_usage_error()
        code = EXIT_USAGE
    if code == EXIT_INTERRUPTED:  # typer turns Ctrl-C inside a command into this code
        error_console().print("[yellow]Interrupted.[/] Progress is saved; run the same command to resume.")
    sys.exit(code if isinstance(code, int) else EXIT_OK)


if __name__ == "__main__":
    main()
