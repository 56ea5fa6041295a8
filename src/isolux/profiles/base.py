"""What a profile is: declared parameters beside the brightness of one galaxy.

A radial profile writes f(r), its brightness where ``intensity`` is one; the library adds the ellipse, the
boxiness, the total flux, the batch, the derivatives and the PSF::

    class Bar(RadialProfile):
        parameters = (Parameter("length", "pixel", "half length", lower=0.1, upper=500, log=True),)

        def brightness(self, r, length):
            return torch.exp(-((r / length) ** 4))

Numbers arrive as tensors that broadcast (a radius (galaxy, point), a parameter (galaxy, 1)), so the maths of
one galaxy, written with torch functions, is the maths of all. A profile may also give ``total`` (its flux in
closed form; otherwise it is integrated numerically) and ``slopes`` (its derivatives; otherwise forward-mode
autodiff). An image-plane profile writes ``brightness(x, y, ...)`` instead.
"""

from __future__ import annotations

import copy
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, ClassVar, Self

import numpy as np
import torch

from isolux.errors import InputError, unknown_name
from isolux.parameters import Parameter, Setting, setting_of
from isolux.types import Points, Tensor

X = Parameter("x", "pixel", "column of the centre, from 0", step=0.1)
Y = Parameter("y", "pixel", "row of the centre, from 0", step=0.1)
MAGNITUDE = Parameter("magnitude", "mag", "total magnitude, to infinity", lower=-50, upper=80, step=0.02)
FLUX = Parameter("flux", "flux", "total flux, to infinity", step=1.0)
AXIS_RATIO = Parameter("axis_ratio", "", "minor over major axis", lower=0.05, upper=1.0, step=0.02)
POSITION_ANGLE = Parameter(
    "position_angle", "deg", "major axis, counter-clockwise from +y", default=0.0, period=180.0, step=2.0
)
BOXINESS = Parameter(
    "boxiness", "", "0 ellipse, positive boxy, negative discy", -1.0, 2.0, default=0.0, fixed=True, step=0.05
)
BOXY_FINENESS = 3
AMPLITUDES = ("magnitude", "flux", "intensity")


def with_slope(function: Callable[[Tensor], Tensor], value: Tensor) -> tuple[Tensor, Tensor]:
    """f(value) and its derivative, element by element, by forward-mode autodiff."""
    value = value.contiguous()
    pair: Any = torch.func.jvp(function, (value,), (torch.ones_like(value),))
    return pair


def slopes_by_name(
    function: Callable[..., Tensor], values: Mapping[str, Tensor], wanted: set[str]
) -> dict[str, Tensor]:
    """Derivative of f(name=value, ...) for each name in ``wanted``, by forward-mode autodiff.

    Raises
    ------
    InputError
        For a vector parameter, whose many derivatives only reverse mode can give.
    """
    maps = {}
    for name in wanted:
        if values[name].shape[-1] != 1:
            raise InputError(f"{name} is a vector parameter: fit it with a first-order solver")
        others = {key: value for key, value in values.items() if key != name}
        _, maps[name] = with_slope(lambda v, n=name, o=others: function(**{n: v}, **o), values[name])  # type: ignore[misc]
    return maps


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(400)


class Profile(ABC):  # noqa: B024 - what is abstract differs between the kinds below
    """A component of a scene: the parameters that it declares and how the user wants them treated.

    Parameters
    ----------
    **settings
        For any of the profile's parameters a number or array (a starting value), :class:`Free`,
        :class:`Fixed`, :class:`Tied` or :class:`Column`.

    Raises
    ------
    InputError
        For a name that the profile does not have.
    """

    parameters: ClassVar[tuple[Parameter, ...]] = ()
    convolved: ClassVar[bool] = True
    """Whether the PSF blurs the component."""

    def __init__(self, **settings: Any) -> None:
        self._check_names(settings)
        self._settings = dict(settings)

    def _check_names(self, settings: Mapping[str, Any]) -> None:
        known = {parameter.name for parameter in self.declared(settings)}
        for name in settings:
            if name not in known:
                raise unknown_name(f"parameter of {type(self).__name__}", name, known)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if inspect.isabstract(cls) or "brightness" not in cls.__dict__:
            return
        takes = list(inspect.signature(cls.brightness).parameters)[1 + cls._coordinates() :]  # type: ignore[attr-defined]
        declares = [parameter.name for parameter in cls.parameters]
        if takes != declares:
            raise TypeError(f"{cls.__name__}: brightness takes {takes} but the class declares {declares}")

    @classmethod
    def _coordinates(cls) -> int:
        """How many coordinates ``brightness`` takes before its parameters."""
        return 0

    def declared(self, settings: Mapping[str, object]) -> tuple[Parameter, ...]:
        """All parameters of this instance in catalogue order, those that the library adds included."""
        return self.parameters

    @property
    def settings(self) -> dict[str, tuple[Parameter, Setting]]:
        """Declaration and user's setting of every parameter."""
        declared = self.declared(self._settings)
        return {p.name: (p, setting_of(p, self._settings.get(p.name))) for p in declared}

    def with_settings(self, **settings: Any) -> Self:
        """The same profile with these settings in place of its own."""
        self._check_names(settings)
        other = copy.copy(self)
        other._settings = dict(settings)
        return other

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"{type(self).__name__}({inside})"


class RadialProfile(Profile):
    """A profile whose brightness depends on the elliptical radius alone."""

    intensity_meaning: ClassVar[str] = "central surface brightness"
    fineness: ClassVar[int] = 1
    """Points a side that the profile is drawn with for each of the grid's: 3 or so for one with a sharp edge or
    ring away from its centre, which the grid would not carry; the time taken grows with its square."""

    @classmethod
    def _coordinates(cls) -> int:
        return 1

    @abstractmethod
    def brightness(self, r: Points, *shape: Any, **named: Any) -> Points:
        """Brightness f(r) at unit intensity.

        Parameters
        ----------
        r : Tensor
            (galaxy, point): elliptical radius in pixels.
        *shape : Tensor
            (galaxy, 1) each: the declared parameters, by name.
        """

    def declared(self, settings: Mapping[str, object]) -> tuple[Parameter, ...]:
        """x, y, the amplitude, the profile's own, axis ratio, position angle, boxiness."""
        return (X, Y, self._amplitude(settings), *self.parameters, AXIS_RATIO, POSITION_ANGLE, BOXINESS)

    @classmethod
    def _amplitude(cls, settings: Mapping[str, object]) -> Parameter:
        given = [name for name in AMPLITUDES if name in settings]
        if len(given) > 1:
            raise InputError(f"{cls.__name__}: give one of {', '.join(AMPLITUDES)}", given)
        match given:
            case ["flux"]:
                return FLUX
            case ["intensity"]:
                return Parameter("intensity", "flux/pixel2", cls.intensity_meaning)
        return MAGNITUDE

    @property
    def amplitude(self) -> str:
        """How brightness is given: ``magnitude``, ``flux`` or ``intensity``."""
        return self._amplitude(self._settings).name

    @property
    def has_boxiness(self) -> bool:
        """Whether the boxiness may differ from zero."""
        return "boxiness" in self._settings

    @property
    def grid_fineness(self) -> int:
        """``fineness``, or more for contours that are not ellipses: discy ones have a kink on the axes."""
        return max(self.fineness, BOXY_FINENESS) if self.has_boxiness else self.fineness

    def total(self, *values: Any, **shape: Any) -> Tensor:
        """Flux (galaxy, 1) of a round galaxy with unit intensity: the integral of 2 pi r f(r).

        Profiles with a closed form override this. The integral runs over r = e^t by Gauss-Legendre from
        1e-4 to 1e5 times the profile's first pixel-valued parameter (1 pixel if it has none).
        """
        sizes = [shape[p.name] for p in self.parameters if p.unit == "pixel"]
        scale = sizes[0] if sizes else torch.ones_like(next(iter(shape.values())))
        nodes, weights = _gauss_legendre()
        low, high = math.log(1e-4), math.log(1e5)
        t = torch.as_tensor(0.5 * (high - low) * nodes + 0.5 * (high + low)).to(scale)
        w = torch.as_tensor(0.5 * (high - low) * weights).to(scale)
        r = scale * torch.exp(t)
        light = torch.nan_to_num(self.brightness(r, **shape)) * r * r
        return 2 * math.pi * (light * w).sum(1, keepdim=True)

    def log_total(self, shape: Mapping[str, Tensor], wanted: set[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """Logarithm of ``total`` (galaxy, 1), and its derivative for each shape parameter in ``wanted``.

        Profiles with cheap closed forms override this; autodiff serves the others.
        """
        if not wanted:
            return torch.log(self.total(**shape)), {}
        with torch.enable_grad():
            leaves = {name: shape[name].detach().requires_grad_() for name in wanted}
            result = torch.log(self.total(**{**shape, **leaves}))
            slopes = torch.autograd.grad(result.sum(), list(leaves.values()))
        return result.detach(), dict(zip(leaves, slopes, strict=True))

    def slopes(
        self, r: Points, shape: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, Points, dict[str, Points]]:
        """Brightness f, df/dr and df/dp for the shape parameters in ``wanted``.

        Profiles with cheap closed forms override this; forward-mode autodiff serves the others.
        """
        f, by_radius = with_slope(lambda radius: self.brightness(radius, **shape), r)
        return f, by_radius, slopes_by_name(lambda **named: self.brightness(r, **named), shape, wanted)


class ImageProfile(Profile):
    """A profile written in the plane of the image, such as a sky that is not flat.

    ``brightness(x, y, ...)`` takes pixel coordinates, counted from 0 or, with ``from_centre = True``, from
    the centre of the stamp, and the declared parameters; it returns the flux of each pixel.
    """

    from_centre: ClassVar[bool] = False
    linear: ClassVar[bool] = False
    """Whether the flux is the sum of each scalar parameter times its slope: the slopes are then all that is drawn."""

    @classmethod
    def _coordinates(cls) -> int:
        return 2

    @abstractmethod
    def brightness(self, x: Points, y: Points, *parameters: Any, **named: Any) -> Points:
        """Flux a pixel at (x, y); a scalar parameter is (galaxy, 1), a vector one (galaxy, size)."""

    def slopes(
        self, x: Points, y: Points, values: Mapping[str, Tensor], wanted: set[str]
    ) -> tuple[Points, dict[str, Tensor]]:
        """Brightness, and its derivative for each parameter in ``wanted``, by forward-mode autodiff."""
        f = self.brightness(x, y, **values)
        maps = slopes_by_name(lambda **named: self.brightness(x, y, **named), values, wanted)
        return f.expand_as(x), {name: m.expand_as(x) for name, m in maps.items()}


class PointProfile(Profile):
    """Light from a single point: the image is the PSF itself, shifted."""

    def declared(self, settings: Mapping[str, object]) -> tuple[Parameter, ...]:
        """x, y and the amplitude."""
        amplitude = FLUX if "flux" in settings else MAGNITUDE
        return (X, Y, amplitude)

    @property
    def amplitude(self) -> str:
        """How brightness is given: ``magnitude`` or ``flux``."""
        return "flux" if "flux" in self._settings else "magnitude"
