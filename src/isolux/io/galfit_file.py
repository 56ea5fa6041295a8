"""What a GALFIT file says, in Isolux's terms, and the scene and stamp that it means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from isolux.errors import InputError
from isolux.io.source import StampSource
from isolux.parameters import Fixed, Free, Setting, Tied
from isolux.profiles import profile_named
from isolux.scene import Scene


@dataclasses.dataclass(frozen=True)
class GalfitParameter:
    """A parameter as the file has it, in Isolux's terms.

    Attributes
    ----------
    value : float
        Starting value of an input file, result of an output file.
    free : bool
        Whether GALFIT fits it.
    lower, upper : float, optional
        From the constraints file.
    tied : str, optional
        Expression that gives it, from the constraints file.
    """

    value: float
    free: bool
    lower: float | None = None
    upper: float | None = None
    tied: str | None = None


@dataclasses.dataclass(frozen=True)
class GalfitComponent:
    """An object of the file.

    Attributes
    ----------
    name : str
        Its type, with a number where there are several: ``sersic_1``.
    kind : str
        GALFIT's type.
    profile : str
        Name of Isolux's profile; empty where there is none.
    items : dict
        Isolux's parameter of each item.
    parameters : dict
        By Isolux's names.
    notes : tuple of str
        Items that have no counterpart.
    """

    name: str
    kind: str
    profile: str
    items: Mapping[str, str]
    parameters: Mapping[str, GalfitParameter]
    notes: tuple[str, ...] = ()

    def settings(self) -> dict[str, Setting]:
        """How each parameter is to be treated; limits are kept within those of the profile."""
        declared = {p.name: p for p in profile_named(self.profile)().declared(self.parameters)}
        return {
            name: _setting(p, declared[name].lower, declared[name].upper)
            for name, p in self.parameters.items()
        }


def _setting(parameter: GalfitParameter, lowest: float, highest: float) -> Setting:
    if parameter.tied is not None:
        return Tied(parameter.tied)
    if not parameter.free:
        return Fixed(parameter.value)
    lower = lowest if parameter.lower is None else max(parameter.lower, lowest)
    upper = highest if parameter.upper is None else min(parameter.upper, highest)
    return Free(parameter.value, lower, upper)


@dataclasses.dataclass(frozen=True)
class GalfitFile:
    """A GALFIT file.

    Attributes
    ----------
    path : Path
        The file itself.
    image, output, sigma, psf, mask, constraints : str, optional
        Items A, B, C, D, F, G as they are written; None for ``none``.
    psf_oversampling : int
        Item E.
    region : tuple of int, optional
        Item H: first and last column, first and last row, from 0.
    zero_point : float
        Item J.
    pixel_scale : float, optional
        Item K, the mean of both directions; None where it is zero.
    components : tuple of GalfitComponent
        In order.
    notes : tuple of str
        Constraints that have no counterpart.
    """

    path: Path
    image: str | None
    output: str | None
    sigma: str | None
    psf: str | None
    mask: str | None
    constraints: str | None
    psf_oversampling: int
    region: tuple[int, ...] | None
    zero_point: float
    pixel_scale: float | None
    components: tuple[GalfitComponent, ...]
    notes: tuple[str, ...] = ()

    def scene(self) -> Scene:
        """The model, ready to fit.

        Raises
        ------
        InputError
            If an object has no counterpart.
        """
        for component in self.components:
            if not component.profile:
                raise InputError(f"{self.path}: Isolux has no profile for GALFIT's {component.kind}")
        return Scene(**{c.name: profile_named(c.profile)(**c.settings()) for c in self.components})

    def source(self) -> StampSource:
        """The stamp, with paths relative to the file; one that has moved is looked for beside it."""
        files = {name: getattr(self, name) for name in ("image", "sigma", "psf", "mask")}
        found = {name: str(self._locate(text)) for name, text in files.items() if text is not None}
        return StampSource(
            image=found.get("image"),
            sigma=found.get("sigma"),
            psf=found.get("psf"),
            mask=found.get("mask"),
            zero_point=self.zero_point,
            pixel_scale=self.pixel_scale,
            psf_oversampling=self.psf_oversampling,
        )

    def _locate(self, text: str) -> Path:
        path = self.path.parent / Path(text).expanduser()
        return path if path.exists() else self.path.parent / path.name
