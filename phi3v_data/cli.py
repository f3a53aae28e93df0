"""The command `phi3v-data`: thin commands over the library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from phi3v_data import __version__
from phi3v_data.cli_flags import FOLDER, IMAGES_DIR, PATH, validation_flags
from phi3v_data.cli_inspect import INSPECTING
from phi3v_data.program import BOTH_SPELLINGS, run_program
from phi3v_data.run_flags import RUN_FLAGS

__all__ = ["cli", "main"]


class _ConverterGroup(click.Group):
    """`convert`: one sub-command per installed converter, imported only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the installed converters."""
        from phi3v_data.convert.registry import converter_names

        return converter_names()

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        """Build the command of one converter from its options model."""
        from phi3v_data.convert.command import convert_command

        return convert_command(name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the converters without importing them, so that a broken one spoils nothing."""
        with formatter.section("Converters"):
            formatter.write_dl([(name, f"phi3v-data convert {name} --help") for name in self.list_commands(ctx)])


@click.group(context_settings=BOTH_SPELLINGS)
@click.version_option(__version__, prog_name="phi3v-data")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Turn images and videos into a validated fine-tuning dataset for Phi-3.5-vision.

    Long options take both spellings: --out_dir and --out-dir.
    """


@cli.group("convert", cls=_ConverterGroup)
def convert_group() -> None:
    """Convert raw data into a dataset: images, JSONL files and a manifest.

    COMMAND is one of the converters below, or the place of your own: path/to/file.py:Class or module:Class.
    """


@cli.command()
@click.argument("folder", type=FOLDER, metavar="DIR")
@validation_flags(images="exists")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def manifest(folder: Path, form: str, **options: Any) -> None:
    """Write manifest.json anew: DIR is a dataset edited by hand, or any folder of JSONL files.

    Everything is validated first; as long as there are errors, nothing is written.
    """
    from phi3v_data.manifest import output as shown
    from phi3v_data.manifest.renew import renew_manifest
    from phi3v_data.validate import output as findings

    done = renew_manifest(folder, **options)
    if done.manifest is None:
        (findings.render_json if form == "json" else findings.render_text)(done.result)
        click.echo(f"No manifest was written into {folder}: mend what was found first.", err=True)
        raise SystemExit(1)
    (shown.render_json if form == "json" else shown.render_text)(folder, done.before, done.manifest)
    if done.result.warnings:
        click.echo(f"There are warnings, {done.result.warnings:,} in all: see them with phi3v-data validate", err=True)


def _reshape_flags(command: click.Command) -> click.Command:
    """Add the flags of the commands that make a dataset of datasets."""
    out_dir = click.Option(["--out_dir"], type=FOLDER, required=True, help="Folder of the new dataset.")
    command.params += [out_dir, *RUN_FLAGS]
    return command


@_reshape_flags
@cli.command()
@click.argument("data", type=PATH)
@IMAGES_DIR
def reshard(data: Path, images_dir: Path | None, **flags: Any) -> None:
    """Write DATA, a dataset's folder or a file of records, in another format or in other shards.

    Records, ids and the bytes of images stay as they are.
    """
    from phi3v_data.reshape.command import carry_out, reshard_request

    carry_out(lambda out_dir, **engine: reshard_request(data, out_dir, images_dir, **engine), **flags)


@_reshape_flags
@cli.command()
@click.argument("data", type=PATH)
@click.argument("parts", nargs=-1, required=True, metavar="SPLIT=PART...")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed divides otherwise.")
@click.option("--stratify/--no_stratify", default=True, show_default=True, help="Divide each class in proportion.")
@IMAGES_DIR
def split(data: Path, parts: tuple[str, ...], seed: int, stratify: bool, images_dir: Path | None, **flags: Any) -> None:
    """Divide all records of DATA anew, such as: split DATA train=0.9 val=0.1 --out_dir OUT.

    Records that share a group or an image fall into one split. Ids stay as they are.
    """
    from phi3v_data.reshape.command import carry_out, divide_request, parse_fractions

    fractions = parse_fractions(parts)
    carry_out(
        lambda out_dir, **engine: divide_request(
            data, out_dir, images_dir, fractions, seed=seed, stratify=stratify, **engine
        ),
        **flags,
    )


@_reshape_flags
@cli.command()
@click.argument("datasets", nargs=-1, required=True, metavar="[LABEL=]DATA...")
@click.option("--name", default="merged", show_default=True, help="What the names of the new files begin with.")
def merge(datasets: tuple[str, ...], name: str, **flags: Any) -> None:
    """Put the splits of several datasets together.

    Ids and images get the dataset's label before them, by default its folder's name; groups of one name stay one.
    """
    from phi3v_data.reshape.command import carry_out, labelled, merge_request

    found = labelled(datasets)
    carry_out(lambda out_dir, **engine: merge_request(found, out_dir, name, **engine), **flags)


@cli.command("export")
@click.argument("data", type=PATH)
@click.option("--to", required=True, type=click.Choice(["llava", "messages", "hf"]), help="The format.")
@click.option("--out_dir", required=True, type=FOLDER, help="The folder to write.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier export in --out_dir.")
@click.option("--split", help="The only split to export  [default: all]")
@IMAGES_DIR
@click.option("--llama_factory", is_flag=True, help="llava: write rows and dataset_info.json for LLaMA-Factory.")
@click.option("--image_tags", is_flag=True, help="messages: write texts with <image> tags, as ms-swift reads them.")
@click.option("--shard_mb", type=click.IntRange(min=1), help="hf: megabytes that a shard may reach  [default: 500]")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def export_dataset(
    data: Path, to: Any, out_dir: Path, split: str | None, images_dir: Path | None, form: str, **flags: Any
) -> None:
    """Write a dataset as other trainers and the hub read it: DATA is its folder or a file of records.

    llava is an array of rows for each split, messages are JSON lines of chats, hf is a folder of Parquet shards with
    a card. What a format has no place for is told at the end.
    """
    from phi3v_data.export import output
    from phi3v_data.export.exporter import export
    from phi3v_data.reader import Dataset

    exported = export(Dataset(data, split=split, images_dir=images_dir), to, out_dir, **flags)
    (output.render_json if form == "json" else output.render_text)(exported)


@cli.command()
@click.argument("document", type=click.Choice(["record", "manifest", "report"]), default="record")
def schema(document: str) -> None:
    """Print the JSON Schema of a DOCUMENT: record (the default), manifest or report."""
    from importlib.resources import files

    click.echo(files("phi3v_schemas").joinpath(f"{document}.schema.json").read_text(encoding="utf-8"), nl=False)


@cli.command()
@click.argument("converter")
@click.argument("folder", type=FOLDER)
def sample(converter: str, folder: Path) -> None:
    """Write the small sample of raw data that CONVERTER makes on the spot into FOLDER."""
    from phi3v_data.convert.registry import load_converter
    from phi3v_data.errors import UsageError

    kind = load_converter(converter)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: choose another folder for the sample")
    kind.write_sample(folder)
    click.echo(f"Wrote a sample into {folder}. Next: phi3v-data convert {converter} --source {folder} --out_dir OUT")


@cli.command()
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def converters(form: str) -> None:
    """List the installed converters, where each comes from and its options."""
    from phi3v_data.convert import listing

    found = listing.list_converters()
    (listing.render_json if form == "json" else listing.render_text)(found)


@cli.command("new-converter")
@click.argument("name")
@click.option("--dir", "folder", type=FOLDER, default=Path(), help="Where to make the folder NAME  [default: here]")
def new_converter(name: str, folder: Path) -> None:
    """Write a package of your own converter, ready to install and to change, into the folder NAME."""
    from phi3v_data.convert.scaffold import next_steps, write_package

    click.echo(next_steps(write_package(name, folder)))


for command in INSPECTING:
    cli.add_command(command)


def main() -> NoReturn:
    """Run the command line and exit."""
    run_program(cli, "phi3v-data", heeds_hangup=True)


if __name__ == "__main__":
    main()
