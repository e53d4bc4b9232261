"""``f2v-bench assets``: weight files: which there are, where they are, whether they are whole, how to get them."""

from __future__ import annotations

from typing import Annotated

import typer

from f2v_bench.assets import all_assets, file_sha256, find_asset, get_asset, pull_asset, require_asset
from f2v_bench.cli.console import console, error_console
from f2v_bench.errors import F2VError

app = typer.Typer(no_args_is_help=True, help="Weight files: list, path, verify, pull.")
Name = Annotated[str, typer.Argument(help="The asset, as 'f2v-bench assets list' calls it.")]


@app.command("list")
def list_() -> int:
    """Every asset, what it enables, its licence, and where it is."""
    from rich.table import Table

    table = Table("name", "enables", "licence", "here", title="assets", title_justify="left")
    for name, asset in all_assets().items():
        path = find_asset(name)
        table.add_row(name, asset.enables, asset.license, str(path) if path else "no")
    console().print(table)
    return 0


@app.command()
def path(name: Name) -> int:
    """Where an asset's file is."""
    typer.echo(require_asset(name))
    return 0


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Assets. Default: all that are here.")] = None,
) -> int:
    """Compare files with the hashes of their publishers; exit code 2 when one differs."""
    wrong = []
    for name in names or [name for name in all_assets() if find_asset(name)]:
        stated, seen = get_asset(name).sha256, file_sha256(require_asset(name))
        verdict = "no published hash" if stated is None else "ok" if seen == stated else "DIFFERS"
        wrong += [name] if verdict == "DIFFERS" else []
        console().print(f"{name}: {verdict} ({seen})", highlight=False)
    if wrong:
        raise F2VError(f"not the published files: {', '.join(wrong)}", "delete them and pull or copy them again")
    return 0


@app.command()
def pull(name: Name) -> int:
    """Fetch an asset from its publisher, and verify it."""
    from f2v_bench.cli.download_bars import download_bars

    with download_bars() as progress:
        found = pull_asset(name, progress)
    error_console().print("complete", highlight=False)
    typer.echo(found)
    return 0
