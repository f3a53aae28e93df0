"""The command `phi3v-train generate`."""

from __future__ import annotations

import sys
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phi3v_train.commands.model_flags import model_flags

if TYPE_CHECKING:
    from typing import Literal

__all__ = ["generate"]


@click.command(short_help="Ask a model something, with or without images.")
@click.argument("model")
@click.argument("question", required=False)
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(path_type=Path),
    help="An image; several in the order the model sees them.",
)
@click.option("--system", help="System prompt.")
@click.option(
    "--max_new_tokens", type=click.IntRange(1), default=256, show_default=True, help="Most tokens of the answer."
)
@click.option(
    "--temperature",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    help="Above 0 words are drawn at random, the more freely the higher; at 0 the likeliest is taken.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the draws.")
@click.option(
    "--num_crops", type=click.IntRange(1, 64), help="Most crops of an image; default: the run's, else the checkpoint's."
)
@model_flags
def generate(
    model: str,
    question: str | None,
    images: tuple[Path, ...],
    system: str | None,
    max_new_tokens: int,
    temperature: float,
    seed: int,
    num_crops: int | None,
    base: str | None,
    precision: Literal["auto", "bf16", "fp16", "fp32"],
    attention: Literal["auto", "sdpa", "flash", "eager"],
    quantization: Literal["auto", "none", "nf4"],
) -> None:
    """Ask MODEL a QUESTION about images, or about nothing but itself.

    \b
    phi3v-train generate out "What is the total?" --image page.png
    echo "What changes?" | phi3v-train generate out --image before.jpg --image after.jpg

    MODEL is a training run's --output_dir, a folder of a checkpoint or an adapter, or a name on the hub. Without
    QUESTION, or with - for it, the question is read from stdin. The answer alone goes to stdout, word by word.
    """
    from phi3v_train.question import check_images, make_record, read_question

    if not isfinite(temperature):
        raise click.BadParameter("give a number, 0 or above", param_hint="--temperature")
    record = make_record(read_question(question), system, len(images))
    check_images(images)

    import phi3v_train.model  # noqa: F401  # which says how to install what is missing
    from phi3v_train.generate import Sampling
    from phi3v_train.generate import generate as answer_aloud
    from phi3v_train.inference import InferenceOptions
    from phi3v_train.model_files import find_model
    from phi3v_train.quiet import quieten

    quieten()
    files = find_model(model, base)
    inference = InferenceOptions.resolve(files, precision=precision, attention=attention, quantization=quantization)
    answer = answer_aloud(
        files,
        inference,
        record,
        images,
        num_crops=num_crops,
        sampling=Sampling(max_new_tokens, temperature, seed),
        out=sys.stdout,
        say=_say_on_a_terminal,
    )
    if answer.is_cut:
        click.echo(f"The answer was cut at --max_new_tokens {max_new_tokens}: give more.", err=True)


def _say_on_a_terminal(line: str) -> None:
    if sys.stderr.isatty():
        click.echo(line, err=True)
