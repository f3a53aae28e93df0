"""Evaluation: every question of a split answered once, by however many processes, scored and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from phi3v_data.errors import CannotRun, DataError, UsageError
from phi3v_data.reader import Dataset
from phi3v_train.answer import Answer
from phi3v_train.ask import Asking, ask
from phi3v_train.base_weights import identify_weights
from phi3v_train.encode import Encoder
from phi3v_train.evaluation import Setting, SplitOfData, read_evaluation, write_evaluation
from phi3v_train.inference import load_answering_processor
from phi3v_train.metrics import choose_metric
from phi3v_train.pretrained import load_config
from phi3v_train.questions import find_questions
from phi3v_train.score import score
from phi3v_train.sources import BadData, Source
from phi3v_train.spool import collect, remove
from phi3v_train.together import on_main
from phi3v_train.write_errors import explain_write_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from phi3v_train.evaluation import Evaluation
    from phi3v_train.inference import InferenceOptions
    from phi3v_train.model import Phi3VConfig
    from phi3v_train.model_files import ModelFiles
    from phi3v_train.questions import Question
    from phi3v_train.runtime import Processes

__all__ = ["EvalOptions", "evaluate"]


@dataclass(frozen=True)
class EvalOptions:
    """What is asked, and how.

    Attributes:
        data_dir: Datasets' folders, or JSONL files.
        images_dir: Images folder, when it is not beside the JSONL.
        split: Split of each.
        metric: What answers are scored by; "auto" is ANLS where a question has several answers, else accuracy.
        num_crops: Most crops of an image.
        max_new_tokens: Most tokens of an answer.
        batch_size_per_gpu: Questions a device takes at once.
        num_workers: Processes that read and decode, for each device.
        limit: Most questions, evenly spread; None for all.
        overwrite: Whether a result is replaced that holds answers to other questions, or another model's.
    """

    data_dir: Sequence[Path]
    images_dir: Path | None
    split: str
    metric: Literal["auto", "accuracy", "anls"]
    num_crops: int
    max_new_tokens: int
    batch_size_per_gpu: int
    num_workers: int
    limit: int | None
    overwrite: bool = False


class _Look(NamedTuple):
    """What is known before the model is loaded: the questions, what decides their answers, and answers there are."""

    questions: list[Question]
    setting: Setting
    answers: dict[str, Answer]


def evaluate(
    files: ModelFiles,
    inference: InferenceOptions,
    options: EvalOptions,
    *,
    out: Path,
    processes: Processes,
    say: Callable[[str], None],
) -> Evaluation:
    """Let a model answer the questions of a split, score it, and write the result.

    Answers are kept as they come, and none is asked for twice: an evaluation that was stopped goes on, and one that is
    there is only scored again.

    Args:
        files: The model.
        inference: How it is loaded.
        options: What is asked.
        out: File of the result, in a folder that is there.
        processes: Those that share the questions.
        say: Told what a person should know, a line each.

    Raises:
        BadData: The data has errors, or no answer to score against.
        UsageError: The metric does not fit the data, or there is another result.
        CannotRun: The model cannot be loaded, or there is no room.
    """
    sources = [_source(path, options) for path in options.data_dir]
    processor = load_answering_processor(files, options.num_crops)
    encoder = Encoder(processor.tokenizer)
    questions, setting, answers = on_main(lambda: _look(files, inference, options, sources, encoder, out))
    metric = choose_metric(
        options.metric,
        [question.answers for question in questions],
        lists=any(question.is_listed for question in questions),
    )
    new = {question.key: number for number, question in enumerate(questions) if question.key not in answers}
    if new:
        say(f"Answering {len(new):,} of {len(questions):,} questions: {files.folder}, {inference.describe()}.")
        asking = Asking(files, inference, options, sources, questions, processor, encoder)
        answers |= ask(asking, list(new.values()), out, setting, answers, processes)
    evaluation = score(questions, answers, metric, setting)
    on_main(lambda: _write(out, evaluation))
    return evaluation


def _source(path: Path, options: EvalOptions) -> Source:
    dataset = Dataset(path, split=None if path.is_dir() else options.split, images_dir=options.images_dir)
    return Source(dataset, options.split)


def _look(
    files: ModelFiles,
    inference: InferenceOptions,
    options: EvalOptions,
    sources: Sequence[Source],
    encoder: Encoder,
    out: Path,
) -> _Look:
    """Read the questions, and what earlier evaluations have left."""
    questions = _spread(_questions(options, sources, encoder, load_config(files.base)), options.limit)
    setting = Setting(
        model=files.base,
        adapter=None if files.adapter is None else str(files.adapter),
        weights=identify_weights(files.base, files.adapter),
        quantization=inference.quantization,
        precision=inference.precision,
        attention=inference.attention,
        data=[SplitOfData.of(source) for source in sources],
        num_crops=options.num_crops,
        max_new_tokens=options.max_new_tokens,
        limit=options.limit,
    )
    return _Look(questions, setting, _known_answers(out, setting, questions, options))


def _questions(
    options: EvalOptions, sources: Sequence[Source], encoder: Encoder, config: Phi3VConfig
) -> list[Question]:
    """Read all questions of the splits; there is one at least."""
    limit = config.max_position_embeddings - options.max_new_tokens
    try:
        questions = find_questions(sources, encoder, num_crops=options.num_crops, limit=limit)
    except DataError as error:
        raise BadData(f"{error}: name one by --split") from None
    if not questions:
        places = ", ".join(str(path) for path in options.data_dir)
        raise BadData(
            f"{places}: no turn of the split {options.split!r} has an 'assistant' or 'answers' to score against: name "
            "another one by --split"
        )
    return questions


def _spread(questions: list[Question], limit: int | None) -> list[Question]:
    """Return so many questions, evenly spread over all."""
    if limit is None or limit >= len(questions):
        return questions
    return [questions[number * len(questions) // limit] for number in range(limit)]


def _known_answers(
    out: Path, setting: Setting, questions: Sequence[Question], options: EvalOptions
) -> dict[str, Answer]:
    """Return what evaluations of the same model have answered, whether they ended or not.

    Raises:
        UsageError: There is a result that holds more than this one will.
    """
    answers = collect(out, setting.key)
    earlier = read_evaluation(out)
    if earlier is None:
        return answers
    said = {each.question: Answer(each.prediction, each.cut) for each in earlier.predictions}
    is_same = earlier.setting.key == setting.key
    if not options.overwrite and (not is_same or not said.keys() <= {question.key for question in questions}):
        raise UsageError(
            f"{out} holds answers {'to other questions' if is_same else 'of another model, or asked otherwise'}: give "
            "another --output_dir, or --overwrite to replace it"
        )
    return answers | said if is_same else answers


def _write(out: Path, evaluation: Evaluation) -> None:
    try:
        write_evaluation(out, evaluation)
        remove(out)
    except OSError as error:
        raise CannotRun(f"{explain_write_error(error, out)}; what is answered is kept") from error
