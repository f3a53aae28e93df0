"""What the command lines share: one way to report errors, exit codes as documented, options in both spellings."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from phi3v_data.errors import Phi3VError

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["BOTH_SPELLINGS", "run_program"]

BOTH_SPELLINGS: dict[str, Any] = {
    "token_normalize_func": lambda token: token.replace("-", "_"),
    "max_content_width": 100,
}
"""Context settings of a command line whose options are declared as `--out_dir` and may be given as `--out-dir`."""


class _Terminated(BaseException):
    """SIGTERM arrived."""


def run_program(command: click.Command, name: str, *, heeds_hangup: bool = False) -> NoReturn:
    """Run a command line and exit: 0 clean, 1 findings or rejects, 2 usage, 3 could not run, 130, 143.

    Args:
        command: What to run.
        name: The program's name.
        heeds_hangup: Whether the end of the terminal ends it like SIGTERM, so that it cleans up; unless it is ignored.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if heeds_hangup and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _terminate)
    try:
        try:
            with command.make_context(name, sys.argv[1:]) as context:  # click's own `main` exits 1 on a closed pipe
                command.invoke(context)
        finally:
            _end_undisturbed()
    except click.exceptions.Exit as end:
        raise SystemExit(end.exit_code) from None
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        _leave("Interrupted." + _how_to_go_on(error), 130)
    except _Terminated as error:
        _leave("Terminated." + _how_to_go_on(error), 143)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except BrokenPipeError:  # the reader of our output, such as `head`, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None  # as a shell reports it: not all that was found was said
    except Phi3VError as error:
        _raise_if_debug(error)
        _leave(f"Error: {error}", error.exit_code)
    except OSError as error:
        _raise_if_debug(error)
        _leave(f"Error: {error.filename or 'the system'}: {error.strerror or error}", 3)
    except Exception as error:
        _raise_if_debug(error)
        _leave(
            f"Internal error: {type(error).__name__}: {error}; run again as {name} --debug … to see where",
            3,
        )
    raise SystemExit(0)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def _end_undisturbed() -> None:
    """Raise no more on signals, where nobody would catch it: all that is left is to exit, which Ctrl-C does at once."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is _terminate:
            signal.signal(number, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _how_to_go_on(error: BaseException) -> str:
    """Return what a command left as a note on the exception that interrupts it."""
    while error.__context__ is not None and not getattr(error, "__notes__", None):
        error = error.__context__
    return "".join(f" {note}" for note in getattr(error, "__notes__", ()))


def _raise_if_debug(error: BaseException) -> None:
    if "--debug" in sys.argv[1:]:
        raise error


def _leave(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    raise SystemExit(code)
