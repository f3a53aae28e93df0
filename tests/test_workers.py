"""Worker processes: results in order, errors and deaths told, nothing left behind."""

from __future__ import annotations

import os
import signal

import pytest

from phi3v_data.errors import CannotRun
from phi3v_data.workers import Task, Workers


@pytest.mark.parametrize("count", [1, 2, 3])
def test_results_come_in_the_order_of_the_steps(count: int) -> None:
    steps = ["begin", *(Task(sum, range(size)) for size in (3_000_000, 10, 1_000_000, 20, 30)), "middle", Task(abs, -1)]
    with Workers(count) as workers:
        done = list(workers.ordered(steps))
        assert list(workers.ordered([Task(abs, -2)])) == [(Task(abs, -2), 2)]
    assert [step for step, _ in done] == steps
    expected = [None, *(sum(range(size)) for size in (3_000_000, 10, 1_000_000, 20, 30)), None, 1]
    assert [result for _, result in done] == expected


def test_steps_are_taken_only_a_little_ahead() -> None:
    taken = []

    def steps() -> object:
        for number in range(1000):
            taken.append(number)
            yield Task(abs, -number)

    with Workers(2) as workers:
        for expected, (_, result) in enumerate(workers.ordered(steps())):  # type: ignore[arg-type]
            assert result == expected
            assert len(taken) <= expected + 30


@pytest.mark.parametrize("count", [1, 2])
def test_what_a_task_raises_is_raised_here(count: int) -> None:
    with Workers(count) as workers, pytest.raises(ValueError, match="invalid literal"):
        list(workers.ordered([Task(abs, 1), Task(int, "x"), Task(abs, 2)]))


def test_a_worker_that_dies_is_told_of_and_none_is_left() -> None:
    with Workers(2) as workers:
        pids = {pid for _, pid in workers.ordered([Task(_pid, None)] * 20)}
        with pytest.raises(CannotRun, match=r"a worker process died \(SIGKILL\).*--workers"):
            list(workers.ordered([Task(signal.raise_signal, signal.SIGKILL), Task(abs, 1)]))
    assert os.getpid() not in pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _pid(_: None) -> int:
    return os.getpid()
