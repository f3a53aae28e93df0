"""The commands that look at data: validate, explain, stats, preview."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from phi3v_data.cli_flags import FOLDER, IMAGES_DIR, NUM_CROPS, PATH, TOKENIZER, WORKERS, validation_flags

if TYPE_CHECKING:
    from phi3v_data.validate.result import Result

__all__ = ["INSPECTING"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_FORM = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@validation_flags(images="header")
@click.option("--select", multiple=True, metavar="CODES", help="Rules wanted, such as E4,W5  [default: all]")
@click.option("--ignore", multiple=True, metavar="CODES", help="Rules not wanted, such as W4 or blank-line.")
@TOKENIZER
@click.option(
    "--max_length", type=click.IntRange(min=1), default=131_072, show_default=True, help="Most tokens of a record."
)
@NUM_CROPS
@click.option(
    "--allow_leaks",
    type=_FILE,
    metavar="FILE",
    help="Lists images, groups and ids, one a line, that may be in several splits.",
)
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", show_default=True)
@click.option(
    "--report", type=_FILE, metavar="FILE", help="Write a page too, which shows the records that were found faulty."
)
@click.option("--fix", type=FOLDER, metavar="DIR", help="Write a corrected copy into DIR; PATH stays as it is.")
def validate(
    paths: tuple[str, ...], strict: bool, form: str, report: Path | None, fix: Path | None, **options: Any
) -> NoReturn:
    """Find what would ruin a run: PATH is a dataset folder, a file of records, a glob, or - for stdin.

    docs/findings.md lists every rule; phi3v-data explain CODE says more of one.
    """
    if fix is not None:
        raise SystemExit(_fix(paths, fix, strict, form, report, **options))
    from phi3v_data.progress import show_progress
    from phi3v_data.validate.github import render_github
    from phi3v_data.validate.output import render_json, render_text
    from phi3v_data.validate.result import exit_code
    from phi3v_data.validate.runner import validate as run

    if report is not None:
        from phi3v_data.preview.writer import prepare

        prepare(paths, report)
    with show_progress() as on_progress:
        result = run(paths, on_progress=on_progress, **options)
    if form == "text":
        render_text(result, all=options["max_findings"] == 0)
    else:
        {"json": render_json, "github": render_github}[form](result)
    if report is not None:
        _write_report(paths, report, result, **options)
    raise SystemExit(exit_code(result, strict=strict))


def _write_report(paths: tuple[str, ...], report: Path, result: Result, **options: Any) -> None:
    from phi3v_data.preview.writer import render_text, write_page
    from phi3v_data.progress import show_progress

    taken = {name: options[name] for name in ("images_dir", "tokenizer", "num_crops", "max_length", "workers")}
    with show_progress("drawing", of_bytes=False) as on_progress:
        written = write_page(paths, report, result=result, only_findings=True, on_progress=on_progress, **taken)
    render_text(written, sys.stderr)


def _fix(paths: tuple[str, ...], out_dir: Path, strict: bool, form: str, report: Path | None, **options: Any) -> int:
    """Carry out `validate --fix`; return the exit code."""
    from phi3v_data.errors import UsageError
    from phi3v_data.mend.mender import exit_code, mend
    from phi3v_data.mend.output import render_json, render_text
    from phi3v_data.progress import show_progress

    if len(paths) != 1:
        raise UsageError("--fix takes one PATH, a file of records or the folder of a dataset")
    if report is not None or form == "github":
        raise UsageError("--fix goes with neither --report nor --format github: validate the copy with them")
    with show_progress("mending") as on_progress:
        mended = mend(Path(paths[0]), out_dir, on_progress=on_progress, **options)
    if form == "json":
        render_json(mended)
    else:
        render_text(mended, all=options["max_findings"] == 0)
    return exit_code(mended, strict=strict)


@click.command()
@click.argument("code")
def explain(code: str) -> None:
    """Explain a finding by its CODE or its name, such as E401 or image-missing, with a bad and a good example."""
    from phi3v_data.validate.explain import explain as text

    click.echo(text(code))


@click.command()
@click.argument("data", type=PATH)
@click.option("--split", help="The only split to look at  [default: all]")
@IMAGES_DIR
@click.option(
    "--images",
    type=click.Choice(["none", "header"]),
    default="header",
    show_default=True,
    help="Whether to read the sizes of images; without them an image counts as the smallest.",
)
@TOKENIZER
@NUM_CROPS
@click.option(
    "--max_length", type=click.IntRange(min=1), default=131_072, help="Tokens beyond which a record is too long."
)
@click.option(
    "--max_tokens", type=click.IntRange(min=1), help="Tokens that a batch may take: says how many records fit."
)
@WORKERS
@click.option("--png", type=_FILE, metavar="FILE", help="Draw the figures, too.")
@_FORM
def stats(data: Path, png: Path | None, form: str, **options: Any) -> None:
    """Count what is in DATA, a dataset's folder or a file of records: sizes, tokens, batches, classes."""
    from phi3v_data.progress import show_progress
    from phi3v_data.stats import output
    from phi3v_data.stats.chart import draw, prepare
    from phi3v_data.stats.collect import collect

    if png is not None:
        prepare(png)
    with show_progress("counting") as on_progress:
        figures = collect(data, on_progress=on_progress, **options)
    if png is not None:
        draw(figures, png)
    (output.render_json if form == "json" else output.render_text)(figures)


@click.command()
@click.argument("data")
@click.option("--out", type=_FILE, required=True, metavar="FILE", help="The page to write, such as page.html.")
@click.option("--split", help="The only split to show  [default: all]")
@IMAGES_DIR
@click.option(
    "--records", type=click.IntRange(1, 10_000), default=10_000, show_default=True, help="Most records shown."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed draws another sample.")
@TOKENIZER
@NUM_CROPS
@WORKERS
@click.option(
    "--findings/--no_findings", default=True, show_default=True, help="Validate first, and show what is found."
)
def preview(data: str, out: Path, findings: bool, images_dir: Path | None, **options: Any) -> None:
    """Write one page that shows DATA, a dataset's folder or a file of records: open it in a browser, anywhere."""
    from phi3v_data.preview.writer import prepare, render_text, write_page
    from phi3v_data.progress import show_progress
    from phi3v_data.validate.runner import validate as run

    prepare([data], out)
    with show_progress() as on_progress:
        taken = {name: options[name] for name in ("tokenizer", "num_crops", "workers")}
        result = run([data], images_dir=images_dir, on_progress=on_progress, **taken) if findings else None
    with show_progress("drawing", of_bytes=False) as on_progress:
        written = write_page([data], out, result=result, images_dir=images_dir, on_progress=on_progress, **options)
    render_text(written)


INSPECTING = (validate, explain, stats, preview)
