"""How a field is measured: one frozen dataclass, filled by Python and the command line alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from isolux.errors import InputError, unknown_name
from isolux.field.cutouts import SIDES
from isolux.field.models import MODELS, model_named
from isolux.priors import Prior

ALL = tuple(MODELS)


@dataclasses.dataclass(frozen=True)
class FieldOptions:
    """How the sources of a field are detected and fitted.

    Parameters
    ----------
    models : sequence of str
        What each source is fitted with: ``point``, ``exponential``, ``sersic``, ``bulge+disc``, ``sersic+point``. Of
        several the one with the least BIC is chosen.
    threshold : float
        Of detection, in standard deviations of the noise of the smoothed image.
    most : int
        Sources of a group at most that are fitted at the same time.
    largest : int
        Side of stamps in pixels at most.
    composite_signal : float
        Signal-to-noise below which models of two components are not tried.
    priors : "population", "none" or sequence of Prior
        What is known of galaxies before: :mod:`isolux.field.population`, nothing, or priors of one's own on parameters
        of the models, such as ``LogNormalPrior("sersic.sersic_index", 1.5, 0.3)``. Priors of one's own hold for
        sources that are fitted alone.
    errors : {"covariance", "none"}
        How errors are found.
    shapes : bool
        Measure non-parametric quantities as well.
    workers : int, optional
        Processes; one a core where left out. The results are the same.
    device : str
        ``cpu``, ``cuda``, ...

    Raises
    ------
    InputError
        If a value is out of range.
    """

    models: Sequence[str] = ALL
    threshold: float = 4.0
    most: int = 4
    largest: int = 512
    composite_signal: float = 30.0
    priors: str | Sequence[Prior] = "population"
    errors: str = "covariance"
    shapes: bool = True
    workers: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if isinstance(self.models, str) or not self.models:
            raise InputError("models: one or more names", self.models, ", ".join(ALL))
        object.__setattr__(self, "models", tuple(dict.fromkeys(model_named(m).name for m in self.models)))
        if not self.threshold > 0:
            raise InputError("threshold in standard deviations", self.threshold, "above 0")
        for name, least in (("most", 1), ("largest", SIDES[0]), ("workers", 1)):
            value = getattr(self, name)
            if not (name == "workers" and value is None) and (not isinstance(value, int) or value < least):
                raise InputError(name, value, f"a whole number, {least} or more")
        if isinstance(self.priors, str) and self.priors not in ("population", "none"):
            raise InputError("priors", self.priors, "population, none, or a sequence of priors")
        if self.errors not in ("covariance", "none"):
            raise InputError("errors", self.errors, "covariance, none")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FieldOptions:
        """Options from a mapping; an unknown name is an error that names the nearest known one."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name("option", name, known)
        return cls(**values)
