"""The command `convert NAME`, built from the converter's options model."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phi3v_data.convert.console import Counter, ListingStatus, estimate_lines, print_summary, show_progress
from phi3v_data.convert.dry_run import dry_run
from phi3v_data.convert.engine import Outcome, convert
from phi3v_data.convert.executors import LocalExecutor
from phi3v_data.convert.finalize import CONTACT_SHEET
from phi3v_data.convert.flags import flags_of, options_from, output_from
from phi3v_data.convert.planning import Request
from phi3v_data.convert.registry import load_converter
from phi3v_data.convert.sources import open_source
from phi3v_data.errors import CannotRun
from phi3v_data.layout import REJECTS
from phi3v_data.processes import available_cores
from phi3v_data.run_flags import RUN_FLAGS

if TYPE_CHECKING:
    from phi3v_data.convert.converter import Converter, Options
    from phi3v_data.convert.sources import HubFile

__all__ = ["carry_out", "convert_command"]


def _engine_flags(default: HubFile | None, *, reads_file: bool) -> list[click.Option]:
    """Return the flags that every converter has.

    Args:
        default: What it converts without a source.
        reads_file: Whether the source may be a single file.
    """
    of_file = f"A folder, {'a file of annotations, ' if reads_file else ''}an archive"
    source = f"{of_file}, or hub:OWNER/NAME[@REVISION]." + (f"  [default: hub:{default.repo}]" if default else "")
    return [
        click.Option(["--out_dir"], type=click.Path(file_okay=False, path_type=Path), help="Folder of the dataset."),
        click.Option(["--source"], help=source),
        click.Option(["--limit"], type=click.IntRange(min=1), help="At most so many sources per split, the first."),
        click.Option(
            ["--timeout"],
            type=click.FloatRange(min=1),
            default=600.0,
            show_default=True,
            help="Seconds one source may take; a worker that hangs is ended and the source rejected.",
        ),
        click.Option(["--dry_run"], is_flag=True, help="Write nothing: print counts, estimates, the first record."),
        *RUN_FLAGS,
    ]


def convert_command(name: str) -> click.Command:
    """Return the command that runs the converter of that name."""
    converter = load_converter(name)
    engine = _engine_flags(converter.default_source, reads_file=converter.file_option is not None)
    own = flags_of(converter.options_type)
    names = {flag.name for flag in own}
    if taken := {flag.opts[0] for flag in own} & {flag.opts[0] for flag in engine}:
        option = taken.pop().removeprefix("--")
        raise CannotRun(f"the converter {name!r} has an option {option!r}, which every conversion has: rename it")

    def run(**values: Any) -> None:
        options = options_from(converter.options_type, {key: values.pop(key) for key in names})
        _run(converter, options, **values)

    summary = (converter.__doc__ or "").strip().partition("\n")[0]
    return click.Command(name, params=[*engine, *own], callback=run, help=summary)


def _run(
    converter: type[Converter[Any]],
    options: Options,
    *,
    out_dir: Path | None,
    source: str | None,
    limit: int | None,
    workers: int | None,
    timeout: float,
    max_rejects: int,
    overwrite: bool,
    dry_run: bool,
    form: str,
    **output: Any,
) -> None:
    if out_dir is None and not dry_run:
        raise click.UsageError("missing option --out_dir: the folder to write the dataset into")
    source, options = _take_file(converter, source, options)
    opened = open_source(
        source,
        default=converter.default_source,
        patterns=converter.files,
        on_status=lambda text: click.echo(text, err=True),
    )
    for warning in opened.warnings:
        click.echo(f"Warning: {warning}", err=True)
    request = Request(
        converter,
        options,
        opened,
        out_dir or Path(),
        limit=limit,
        overwrite=overwrite,
        output=output_from(**output),
        on_listed=ListingStatus(),
    )
    if out_dir is None or dry_run:
        _dry_run(request, LocalExecutor(workers or available_cores(), timeout), form)
    else:
        carry_out(request, workers=workers, timeout=timeout, max_rejects=max_rejects, form=form)


def carry_out(request: Request, *, workers: int | None, timeout: float | None, max_rejects: int, form: str) -> None:
    """Run a conversion and tell what came of it; exits 1 when too much was rejected."""
    outcome = _convert(request, LocalExecutor(workers or available_cores(), timeout))
    _report(outcome, request.out_dir, max_rejects, form)
    if outcome.manifest.rejects > max_rejects:
        raise SystemExit(1)


def _take_file(converter: type[Converter[Any]], source: str | None, options: Options) -> tuple[str | None, Options]:
    """Where the source is a file that the converter reads, return its folder, and the options that name the file."""
    option, path = converter.file_option, Path(source or "").expanduser()
    if option is None or not path.is_file() or not any(fnmatchcase(path.name, fit) for fit in converter.files):
        return source, options
    if option in options.model_fields_set:
        raise click.UsageError(f"--source names a file, and so does --{option}: give --source the folder")
    given = options.model_dump(exclude_unset=True)
    return str(path.parent), type(options).model_validate({**given, option: [path.name]})


def _dry_run(request: Request, executor: LocalExecutor, form: str) -> None:
    estimate = dry_run(request, executor)
    if form == "json":
        click.echo(json.dumps(asdict(estimate), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(estimate_lines(estimate)))


def _convert(request: Request, executor: LocalExecutor) -> Outcome:
    """Convert with a progress bar; an interruption carries away how far it came."""
    counter = Counter()
    try:
        with show_progress(counter) as progress:
            return convert(request, executor, progress)
    except BaseException as error:
        if not isinstance(error, Exception):
            again = " (without --overwrite)" if request.overwrite and counter.total else ""
            error.add_note(
                f"{counter.done} of {counter.total} sources are done: run the same command again{again} to go on."
            )
        raise


def _report(outcome: Outcome, out_dir: Path, max_rejects: int, form: str) -> None:
    manifest = outcome.manifest
    if form == "json":
        document = {"out_dir": str(out_dir), "was_complete": outcome.was_complete}
        click.echo(json.dumps({**document, "manifest": manifest.model_dump(mode="json", exclude_none=True)}, indent=2))
        return
    if outcome.was_complete:
        mended = "; where rejected sources were mended, pass --overwrite" if manifest.rejects else ""
        click.echo(f"Nothing to do: the dataset was complete{mended}.")
    if manifest.files:
        print_summary(manifest, out_dir)
    else:
        click.echo("Nothing was converted: every source was rejected.")
    for split in outcome.empty_splits:
        click.echo(f"Warning: the split {split} is empty: no source falls into it", err=True)
    if manifest.rejects:
        click.echo(
            f"{manifest.rejects} rejected (--max_rejects {max_rejects}): see {out_dir / REJECTS}",
            err=True,
        )
    if manifest.files:
        dataset = shlex.quote(str(out_dir))
        click.echo(f"Look at it: {out_dir / CONTACT_SHEET}, or all of it: phi3v-data preview {dataset} --out page.html")
        click.echo(f"Next: phi3v-data validate {dataset} --report report.html")
