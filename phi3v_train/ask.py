"""Questions shared among processes: each is answered by one of them, and all learn all answers."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from torch.utils.data import DataLoader

from phi3v_data.errors import CannotRun
from phi3v_train.answer import answer
from phi3v_train.collate import Collator
from phi3v_train.inference import load_model
from phi3v_train.out_of_memory import is_out_of_memory
from phi3v_train.questions import QuestionData
from phi3v_train.readers import begun, shielded
from phi3v_train.spool import Spool
from phi3v_train.together import shared
from phi3v_train.write_errors import explain_write_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from phi3v_train.answer import Answer
    from phi3v_train.encode import Encoder
    from phi3v_train.evaluate import EvalOptions
    from phi3v_train.evaluation import Setting
    from phi3v_train.inference import InferenceOptions
    from phi3v_train.model import Phi3VProcessor
    from phi3v_train.model_files import ModelFiles
    from phi3v_train.questions import Question
    from phi3v_train.runtime import Processes
    from phi3v_train.sources import Source

__all__ = ["Asking", "ask"]


class Asking(NamedTuple):
    """Who is asked what: a model, and questions about the records of some splits."""

    files: ModelFiles
    inference: InferenceOptions
    options: EvalOptions
    sources: Sequence[Source]
    questions: Sequence[Question]
    processor: Phi3VProcessor
    encoder: Encoder


def ask(
    asking: Asking,
    missing: Sequence[int],
    out: Path,
    setting: Setting,
    known: Mapping[str, Answer],
    processes: Processes,
) -> dict[str, Answer]:
    """Load the model and answer questions, those with long prompts first.

    Args:
        asking: Who is asked what.
        missing: Numbers of the questions to answer.
        out: File of the result, beside which answers are kept as they come.
        setting: What decides the answers.
        known: Those that earlier processes have kept, which the main process keeps from now on.
        processes: Those that share the questions.

    Returns:
        The answers by the question's key, each question asked once, the same in every process.

    Raises:
        CannotRun: The model cannot be loaded, an image cannot be read, or there is no room; in every process.
    """
    batches = _share(asking, missing, processes)
    kept = known if processes.rank == 0 else {}
    shares = shared(lambda: _answers(asking, batches, out, setting, kept, processes))
    answers = {key: said for share in shares for key, said in share.items()}
    assert sum(map(len, shares)) == len(answers) == len(missing)
    return answers


def _answers(
    asking: Asking,
    batches: list[list[int]],
    out: Path,
    setting: Setting,
    kept: Mapping[str, Answer],
    processes: Processes,
) -> dict[str, Answer]:
    """Answer the questions of this process.

    Raises:
        CannotRun: As `ask`.
    """
    own: dict[str, Answer] = {}
    try:
        with closing(Spool(out, processes.rank, setting.key, kept)) as spool, _explained(asking.inference):
            model = load_model(asking.files, asking.inference)
            with _progress(sum(map(len, batches)), is_shown=processes.rank == 0) as advance:
                for numbers, batch in zip(batches, _loaded(asking, batches), strict=True):
                    if "failure" in batch:
                        raise CannotRun(batch["failure"])
                    said = answer(model, batch, asking.processor, max_new_tokens=asking.options.max_new_tokens)
                    answers = {asking.questions[number].key: one for number, one in zip(numbers, said, strict=True)}
                    spool.add(answers)
                    own |= answers
                    advance(len(answers))
    except OSError as error:
        raise CannotRun(f"{explain_write_error(error, out)}; what is answered is kept") from error
    return own


def _share(asking: Asking, missing: Sequence[int], processes: Processes) -> list[list[int]]:
    """Return this process' batches: of prompts of similar length, as long as those of every other process."""
    size = asking.options.batch_size_per_gpu
    by_length = sorted(missing, key=lambda number: -asking.questions[number].tokens)
    batches = [by_length[start : start + size] for start in range(0, len(by_length), size)]
    return batches[processes.rank :: processes.count]


def _loaded(asking: Asking, batches: list[list[int]]) -> Iterator[Any]:
    if not batches:
        return iter(())
    data = QuestionData(
        asking.sources,
        asking.questions,
        asking.encoder,
        asking.processor.image_processor,
        num_crops=asking.options.num_crops,
    )
    collator = Collator(asking.processor.tokenizer.pad_token_id, "left")
    workers = min(asking.options.num_workers, len(batches))
    return begun(shielded(DataLoader(data, batch_sampler=batches, num_workers=workers, collate_fn=collator)))


@contextmanager
def _explained(inference: InferenceOptions) -> Iterator[None]:
    """Say what to do where there is no room, and what is kept where it is interrupted."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        smaller = ", or give --quantization nf4" if inference.quantization == "none" else ""
        raise CannotRun(
            f"out of memory: lower --batch_size_per_gpu or --num_crops{smaller}; what is answered is kept"
        ) from error
    except BaseException as error:
        if not isinstance(error, Exception):
            error.add_note("What is answered is kept: run the same command again to go on.")
        raise


@contextmanager
def _progress(count: int, *, is_shown: bool) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal; yields what moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = ("answering", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), "left", TimeRemainingColumn())
    is_shown = is_shown and sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not is_shown) as progress:
        task = progress.add_task("answering", total=count)
        yield lambda more: progress.advance(task, more)
