"""All that can be known of the data before the first step: whether it is sound, what fits, how long records are."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING

from phi3v_data import __version__
from phi3v_data.errors import DataError, UsageError
from phi3v_data.layout import MANIFEST, data_files
from phi3v_train.data_plan import DataPlan, load_plan, save_plan
from phi3v_train.lengths import Measure
from phi3v_train.soundness import check_sound, fingerprint
from phi3v_train.sources import BadData, evaluation_sources, training_sources
from phi3v_train.survey import estimate_lengths, summarise, survey_records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from phi3v_train.encode import Encoder
    from phi3v_train.options import TrainOptions
    from phi3v_train.sources import Source
    from phi3v_train.survey import Survey

__all__ = ["DataPlan", "check_data"]

_FORM = 1  # of the stored plan, and of what is looked at: one more whenever a stored one must not be used


def check_data(
    options: TrainOptions,
    encoder: Encoder,
    *,
    limit: int,
    report: Callable[[str], None],
    cache: Path | None = None,
) -> DataPlan:
    """Look through all data that a run will read, but for the inside of its images.

    Args:
        options: The run's options.
        encoder: Writes a record as tokens.
        limit: Most tokens that the model can take.
        report: Told what a person should look at, a line each.
        cache: File in which the plan is kept, for the same data and options to be looked through once.

    Raises:
        BadData: A rule of the validator is broken, a record has nothing to learn or is too long, or there is none.
        CannotRun: There is no dataset at a path.
        UsageError: More tokens are allowed than the model can take.
    """
    if (options.max_length or 0) > limit:
        raise UsageError(f"--max_length {options.max_length:,} is over the {limit:,} tokens that the model can take")
    training, evaluation = _sources(options)
    key = _key(options, limit)
    plan = load_plan(cache, key) if cache else None
    if plan is None:
        plan = _look(options, encoder, options.max_length or limit, training, evaluation)
        if cache is not None:
            with suppress(OSError):
                save_plan(cache, key, plan)
    for line in plan.warnings:
        report(line)
    return plan


def _sources(options: TrainOptions) -> tuple[list[Source], list[Source]]:
    try:
        return training_sources(options), evaluation_sources(options)
    except DataError as error:  # a manifest or a file is at fault, of which the validator says more
        for path in options.data_dir:
            check_sound(path, options.images_dir)
        raise BadData(str(error)) from None


def _key(options: TrainOptions, limit: int) -> str:
    """Return what identifies the outcome: the options it depends on, and the files by path, size and time."""
    names = {"data_dir", "images_dir", "train_split", "num_crops", "max_length", "too_long", "group_by_length"}
    names |= {"eval_split", "model_name_or_path", "seed"}
    files = [file for path in options.data_dir for file in (_files(path) if path.is_dir() else [path])]
    facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    chosen = options.model_dump_json(include=names), options.eval_steps is not None
    looked_at = [_FORM, __version__, limit, chosen, facts]
    return hashlib.sha256(json.dumps(looked_at).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return [*data_files(folder), *folder.glob(MANIFEST)]


def _look(
    options: TrainOptions, encoder: Encoder, limit: int, training: Sequence[Source], evaluation: Sequence[Source]
) -> DataPlan:
    warnings = [line for path in options.data_dir for line in check_sound(path, options.images_dir)]
    surveys = [_survey(source, encoder, limit, options, all_lengths=options.group_by_length) for source in training]
    evaluated = [_survey(source, encoder, limit, options, all_lengths=False) for source in evaluation]
    warnings += [_tell(survey) for survey in (*surveys, *evaluated) if len(survey.too_long)]
    summary, tokens_per_bound = summarise(surveys, options.seed)
    return DataPlan(
        sizes=[len(survey.kept) for survey in surveys],
        left_out=[survey.left_out for survey in surveys],
        eval_left_out=[survey.left_out for survey in evaluated],
        limit=limit,
        summary=summary,
        lengths=estimate_lengths(surveys, tokens_per_bound) if options.group_by_length else None,
        fingerprint=fingerprint(training),
        warnings=warnings,
    )


def _survey(source: Source, encoder: Encoder, limit: int, options: TrainOptions, *, all_lengths: bool) -> Survey:
    """Survey a split, and refuse it if records are too long that must not be, or if it has none to train on."""
    measure = Measure(
        source,
        encoder,
        num_crops=options.num_crops,
        limit=limit,
        cuts=options.too_long == "cut",
        all_lengths=all_lengths,
    )
    name = f"{source.dataset.path}: the split {source.split!r}"
    if not len(measure):
        raise BadData(f"{name} holds no record: look whether the step that wrote it failed")
    survey = survey_records(measure, drops=options.too_long == "drop")
    if len(survey.too_long) and options.too_long == "error":
        raise BadData(_refusal(survey, options))
    if not len(survey.kept):
        raise BadData(f"{name} holds no record of at most {limit:,} tokens: raise --max_length, or lower --num_crops")
    return survey


def _refusal(survey: Survey, options: TrainOptions) -> str:
    limit = f"{survey.measure.limit:,}"
    if options.max_length is None:
        most, ways_out = f"the {limit} that the model can take", "lower --num_crops, or give --max_length with"
    else:
        most, ways_out = f"--max_length {limit}", "raise --max_length, lower --num_crops, or give"
    place = survey.measure.place(int(survey.too_long[0]))
    return (
        f"{place}: the record takes {survey.tokens[0]:,} tokens, over {most} (so do {len(survey.too_long):,} of "
        f"{len(survey.measure):,}, with up to {survey.tokens.max():,}): {ways_out} --too_long drop or cut"
    )


def _tell(survey: Survey) -> str:
    path, split = survey.measure.source.dataset.path, survey.measure.source.split
    fate = "left out" if len(survey.left_out) else "cut"
    return (
        f"{path}: {len(survey.too_long):,} of {len(survey.measure):,} records of {split!r} are over "
        f"{survey.measure.limit:,} tokens and {fate}"
    )
