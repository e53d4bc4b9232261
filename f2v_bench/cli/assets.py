"""``f2v-bench assets``: list, find, verify and download weight files."""

from __future__ import annotations

from typing import Annotated

import typer

from f2v_bench.assets import all_assets, file_sha256, find_asset, get_asset, pull_asset, require_asset
from f2v_bench.cli.console import console, error_console
from f2v_bench.errors import F2VError

app = typer.Typer(no_args_is_help=True, help="Weight files: list, path, verify, pull.")
Name = Annotated[str, typer.Argument(help="Name of an asset, listed by 'f2v-bench assets list'.")]


@app.command("list")
def list_() -> int:
    """List every asset with its use, license and path."""
    from rich.table import Table

    table = Table("name", "enables", "license", "here", title="assets", title_justify="left")
    for name, asset in all_assets().items():
        path = find_asset(name)
        table.add_row(name, asset.enables, asset.license, str(path) if path else "no")
    console().print(table)
    return 0


@app.command()
def path(name: Name) -> int:
    """Print the path of an asset."""
    typer.echo(require_asset(name))
    return 0


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Names of assets. Default: all that are here.")] = None,
) -> int:
    """Compare files with their published hashes; the exit code is 2 where one differs."""
    wrong = []
    for name in names or [name for name in all_assets() if find_asset(name)]:
        published, actual = get_asset(name).sha256, file_sha256(require_asset(name))
        verdict = "no published hash" if published is None else "ok" if actual == published else "DIFFERS"
        wrong += [name] if verdict == "DIFFERS" else []
        console().print(f"{name}: {verdict} ({actual})", highlight=False)
    if wrong:
        raise F2VError(f"not the published files: {', '.join(wrong)}", "delete them, then pull or copy them again")
    return 0


@app.command()
def pull(name: Name) -> int:
    """Download an asset from its publisher and verify it."""
    from f2v_bench.cli.download_bars import download_bars

    with download_bars() as progress:
        downloaded = pull_asset(name, progress)
    error_console().print("complete", highlight=False)
    typer.echo(downloaded)
    return 0
