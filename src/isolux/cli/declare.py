"""How the options of a command are declared: as fields of a dataclass, which a decorator gives to the command."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

import typer


def option(metavar: str | None, text: str, flag: str | None = None) -> Any:
    """A field of a group of options; None where it is not given.

    Parameters
    ----------
    metavar : str, optional
        What stands for the value in the help.
    text : str
        The help.
    flag : str, optional
        The option's name where it is not that of the field, and for options without a value.
    """
    return dataclasses.field(default=None, metadata={"metavar": metavar, "help": text, "flag": flag})


def takes(**groups: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of some groups; it gets each group filled, under the group's keyword.

    A group is a dataclass of fields made by :func:`option`; its ``panel`` is the heading in the help.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        options = [parameter for group in groups.values() for parameter in _parameters(group)]
        signature = inspect.Signature([*(p for p in own if p.name not in groups), *options])

        @functools.wraps(command)
        def run(**values: Any) -> None:
            filled = {
                keyword: group(**{f.name: values.pop(f.name) for f in dataclasses.fields(group)})
                for keyword, group in groups.items()
            }
            command(**values, **filled)

        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        return run

    return decorate


def _parameters(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group)
    found = []
    for field in dataclasses.fields(group):
        flag, metavar = field.metadata["flag"], field.metadata["metavar"]
        names = [flag or f"--{field.name.replace('_', '-')}"]
        shown = typer.Option(
            None,
            *names,
            help=field.metadata["help"],
            metavar=metavar,
            rich_help_panel=group.panel,
            show_default=False,
        )
        kind = inspect.Parameter.KEYWORD_ONLY
        found.append(inspect.Parameter(field.name, kind, default=shown, annotation=hints[field.name]))
    return found


def given_of(group: Any) -> dict[str, Any]:
    """The options of a filled group that were given."""
    values: Mapping[str, Any] = {f.name: getattr(group, f.name) for f in dataclasses.fields(group)}
    return {name: value for name, value in values.items() if value is not None and value != []}


def number_or_text(text: str) -> float | str:
    """A number where the text is one."""
    try:
        return float(text)
    except ValueError:
        return text
