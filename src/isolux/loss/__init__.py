"""What a pixel costs, given how far the model is from it.

With r = (data - model) / sigma, or with counts d and their expectation m in electrons,

    chi-square    c = r^2                                               Gaussian noise of known sigma
    Student-t     c = (nu + 1) ln(1 + r^2 / nu)                         Lange, Little & Taylor 1989, JASA 84, 881
    Huber         c = r^2 where |r| <= delta, 2 delta |r| - delta^2     Huber 1964, Ann. Math. Stat. 35, 73
    Cash          c = 2 (m - d + d ln(d / m))                           Cash 1979, ApJ 228, 939

Each is -2 ln of a density of the noise but for a constant, so that costs of pixels add, also with those of priors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from isolux.errors import InputError, unknown_name
from isolux.loss.base import SQUARED, Loss, SquaredLoss
from isolux.loss.cash import Cash
from isolux.loss.robust import Huber, RobustLoss, StudentT

__all__ = ["LOSSES", "SQUARED", "Cash", "Huber", "Loss", "RobustLoss", "SquaredLoss", "StudentT", "loss_from"]

LOSSES: dict[str, type[Loss]] = {"chi2": SquaredLoss, "student-t": StudentT, "huber": Huber, "cash": Cash}
"""By the names that run files and the command line know."""


def loss_from(value: Any) -> Loss:
    """A loss from itself, from its name, or from a table of its name and numbers.

    ``"student-t"``, ``"student-t:4"``, ``{"name": "student-t", "nu": 4.0}`` and ``StudentT(4)`` are the same.

    Raises
    ------
    InputError
        For an unknown name or number, or one out of range.
    """
    if isinstance(value, Loss):
        return value
    if isinstance(value, str):
        name, _, number = value.partition(":")
        table: dict[str, Any] = {"name": name.strip()}
        if number:
            fields = dataclasses.fields(LOSSES[name.strip()]) if name.strip() in LOSSES else ()
            table |= {fields[0].name if fields else "number": number}
    elif isinstance(value, Mapping):
        table = dict(value)
    else:
        raise InputError("a loss cannot be read", value, ", ".join(LOSSES))
    name = table.pop("name", "chi2")
    if name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    kind = LOSSES[name]
    known = [field.name for field in dataclasses.fields(kind)]
    for key in table:
        if key not in known:
            raise unknown_name(f"number of the loss {name}", key, known)
    try:
        return kind(**{key: float(number) for key, number in table.items()})
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"loss {name}: not a number", table) from None
