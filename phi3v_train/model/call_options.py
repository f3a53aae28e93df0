"""Options of a processor's call: the dictionaries they may come in, which names there are, which values they take."""

from __future__ import annotations

from functools import wraps
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["check_names", "keyword_names", "options_in_groups", "truncates"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_GROUPS = ("text_kwargs", "images_kwargs")
_COMMON = "common_kwargs"
_CUTS = (True, "longest_first", "only_first")
_KEEPS = (False, "do_not_truncate", None)


def options_in_groups(call: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let options also come in the dictionaries of transformers' processors.

    `text_kwargs` and `images_kwargs` go before `common_kwargs`, and so does an option of its own.

    Raises:
        TypeError: An option is given by itself and in `text_kwargs` or `images_kwargs`.
    """

    @wraps(call)
    def with_groups(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        groups: dict[str, Any] = {name: kwargs.pop(name, None) or {} for name in (*_GROUPS, _COMMON)}
        for group in _GROUPS:
            if twice := groups[group].keys() & kwargs.keys():
                raise TypeError(f"{min(twice)!r} is given by itself and in {group}: give it once")
        options: Any = {**groups[_COMMON], **groups["text_kwargs"], **groups["images_kwargs"], **kwargs}
        return call(*args, **options)

    return with_groups


def keyword_names(call: Callable[..., Any]) -> list[str]:
    """Return the names of what a function takes by name alone."""
    return [name for name, parameter in signature(call).parameters.items() if parameter.kind is Parameter.KEYWORD_ONLY]


def check_names(options: Mapping[str, Any], known: list[str]) -> None:
    """Refuse the first option that is not known.

    Raises:
        TypeError: There is one.
    """
    if unknown := next((name for name in options if name not in known), None):
        raise TypeError(f"{unknown!r} is not an option of this processor: it takes {', '.join(sorted(set(known)))}")


def truncates(truncation: bool | str | None, padding: bool | str | None, max_length: int | None) -> bool:
    """Tell whether texts are to be cut, having checked the length to which they are cut or padded.

    Raises:
        ValueError: `truncation` is no way of cutting one text, or a length that is used is below 1.
    """
    cuts = truncation in _CUTS
    if not cuts and truncation not in _KEEPS:
        raise ValueError(f"truncation is {truncation!r}; give one of {', '.join(map(repr, _CUTS + _KEEPS))}")
    if (cuts or padding == "max_length") and max_length is not None and max_length < 1:
        raise ValueError(f"max_length is {max_length}; it must be at least 1")
    return cuts
