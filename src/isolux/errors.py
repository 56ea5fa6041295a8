"""What Isolux raises. A fault of one galaxy is a status of that galaxy, never an exception."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """The caller gave something that cannot be used.

    Parameters
    ----------
    message : str
        What is wrong, in a sentence that names the file or argument.
    value : object, optional
        The offending value.
    allowed : object, optional
        The range or the choices that would have been accepted.
    """

    def __init__(self, message: str, value: object = None, allowed: object = None) -> None:
        self.value = value
        self.allowed = allowed
        text = message
        if value is not None:
            text += f" (got {value!r})"
        if allowed is not None:
            text += f"; allowed: {allowed}"
        super().__init__(text)


class FitWarning(UserWarning):
    """Something that concerns more than one galaxy and does not keep the fit from going on."""


class MissingExtra(ImportError):
    """An optional library is not installed; the message names the extra that brings it."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is needed here: install it with  pip install 'isolux[{extra}]'")
        self.library = library
        self.extra = extra


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An :class:`InputError` for a misspelt name, with the nearest known one."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {kind} {name!r}{hint}", allowed=", ".join(choices))
