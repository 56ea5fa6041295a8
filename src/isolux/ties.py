"""Ties: parameters computed from others, by name, by an arithmetic expression or by a function."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from isolux.errors import InputError, unknown_name
from isolux.parameters import Tie
from isolux.types import Tensor

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "exp": torch.exp,
    "log": torch.log,
    "log10": torch.log10,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
}
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}


def compile_tie(tie: Tie, known: Sequence[str], what: str = "tie") -> Callable[[Mapping[str, Tensor]], Any]:
    """A tie (or ``what`` else) as a function of named values; text is parsed, never executed.

    Raises
    ------
    InputError
        If the expression cannot be parsed or names something unknown.
    """
    if callable(tie):
        return tie
    if tie in known:
        name = tie
        return lambda values: values[name]
    try:
        tree = ast.parse(tie, mode="eval").body
    except SyntaxError as error:
        raise InputError(f"{what} {tie!r} is not an arithmetic expression: {error.msg}") from None

    def evaluate(node: ast.AST, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -evaluate(operand, values)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                return _OPERATORS[type(operator)](evaluate(left, values), evaluate(right, values))
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](evaluate(argument, values))
            case ast.Attribute(value=ast.Name(id=component), attr=attribute):
                full_name = f"{component}.{attribute}"
                if full_name not in values:
                    raise unknown_name(f"parameter in a {what}", full_name, known)
                return values[full_name]
        raise InputError(
            f"{what} {tie!r}: only + - * / **, numbers, exp, log, log10, sqrt, abs and component.parameter"
        )

    evaluate(tree, {name: torch.ones(1) for name in known})
    return lambda values: evaluate(tree, values)


def root_of(column: int, aliases: Mapping[int, int], names: Sequence[str]) -> int:
    """The column at the end of a chain of aliases."""
    seen = [column]
    while seen[-1] in aliases:
        seen.append(aliases[seen[-1]])
        if seen[-1] in seen[:-1]:
            raise InputError("ties go in a circle: " + " -> ".join(names[c] for c in seen))
    return seen[-1]


def in_order(
    functions: Mapping[int, Callable[[Mapping[str, Tensor]], Any]],
    names: Sequence[str],
    aliases: Mapping[int, int],
) -> tuple[tuple[int, Callable[[Mapping[str, Tensor]], Any]], ...]:
    """Functions of ties in an order in which each finds what it needs."""
    waiting = dict(functions)
    ordered: list[tuple[int, Callable[[Mapping[str, Tensor]], Any]]] = []
    while waiting:
        hidden = {names[c] for c in waiting} | {names[s] for s, t in aliases.items() if t in waiting}
        visible = {name: torch.ones(1, dtype=torch.float64) for name in names if name not in hidden}
        ready = [column for column, function in waiting.items() if _computable(function, visible)]
        if not ready:
            raise InputError("ties go in a circle or name no parameter", sorted(names[c] for c in waiting))
        ordered += [(column, waiting.pop(column)) for column in ready]
    return tuple(ordered)


def _computable(function: Callable[[Mapping[str, Tensor]], Any], values: Mapping[str, Tensor]) -> bool:
    try:
        function(values)
    except (KeyError, InputError):
        return False
    return True
