"""Numbers and text as an HTML page can carry them: typed arrays in base64, and JSON that no text can break out of."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from isolux.io.catalogue import Rows
from isolux.report.page.columns import Column
from isolux.report.page.truth import number

DIGITS = 8
"""Significant digits of the gallery's numbers."""
WORDS = 200
"""Different texts that a column may have to be sent as codes."""
LONGEST = 300
LONGEST_NAME = 4000
"""Characters of a text, and of the names of the gallery's galaxies, by which their pages are found."""
ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def to_json(content: Any) -> str:
    """JSON without ``<``, ``>``, ``&`` and line separators: safe inside a ``script`` element."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for bad, good in ESCAPED.items():
        text = text.replace(bad, good)
    return text.encode("utf-8", "replace").decode("utf-8")


def packed(rows: Rows, column: Column) -> dict[str, Any] | None:
    """A column for the charts: float32, int32, or codes of few words; None for other text."""
    if column.kind == "text":
        words, codes = np.unique(texts(rows, column.name), return_inverse=True)
        if len(words) > WORDS:
            return None
        return {"type": "u1", "words": words.tolist(), "data": _base64(codes.astype(np.uint8))}
    values = number(rows, column.name)
    if column.kind == "whole" and np.isfinite(values).all() and np.abs(values).max(initial=0) < 2**31:
        return {"type": "i4", "data": _base64(values.astype("<i4"))}
    with np.errstate(over="ignore"):
        return {"type": "f4", "data": _base64(values.astype("<f4"))}


def listed(rows: Rows, column: Column) -> list[Any]:
    """A column for the gallery, None where it is empty."""
    if column.kind == "text":
        return texts(rows, column.name, LONGEST_NAME if column.name == "id" else LONGEST)
    whole = column.kind == "whole"
    return [_plain(value, whole) for value in number(rows, column.name).tolist()]


def texts(rows: Rows, name: str, longest: int = LONGEST) -> list[str]:
    """Text of a column; what is very long is cut, what is no text is replaced."""
    found = ["" if value is None else str(value) for value in rows[name].to_pylist()]
    return [text if len(text) <= longest else text[: longest - 1] + "…" for text in found]


def rounded(values: Sequence[float] | np.ndarray, digits: int = 6) -> list[float | None]:
    """Numbers of few digits, None where not finite."""
    return [
        float(f"{v:.{digits}g}") if math.isfinite(v) else None for v in np.asarray(values, float).tolist()
    ]


def _plain(value: float, whole: bool) -> float | int | None:
    if not math.isfinite(value):
        return None
    return int(value) if whole else float(f"{value:.{DIGITS}g}")


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")
