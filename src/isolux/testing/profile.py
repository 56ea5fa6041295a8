"""Conformance tests that Isolux runs on its own parts and a user may run on theirs.

:func:`check_profile` holds a profile to what the library assumes of it. It draws parameters inside the
declared bounds and at their corners, and compares the profile with itself (a batch with its galaxies alone,
float32 with float64), with finite differences, and with a numerical integral. A failure is an
:class:`AssertionError` that says what is wrong and where.

Tolerances and what set them:

- slopes: ``SLOPE_RTOL`` beside the error of the finite difference, estimated from two step sizes;
- float32: ``ROUNDING`` times the error that rounding every input once would make;
- flux: ``TOTAL_RTOL``, a ten-thousandth of a magnitude; the numerical total of a profile that has no closed
  form and ends at an edge is no better.
"""

import copy
import itertools
import math
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from isolux.parameters import Parameter
from isolux.profiles.base import ImageProfile, PointProfile, Profile, RadialProfile
from isolux.types import Points, Tensor

SLOPE_RTOL = 1e-6
ROUNDING = 64.0
TOTAL_RTOL = 1e-4
STEP = 1e-5
MOST_CORNERS = 64
UNBOUNDED = 10.0
"""Parameters without bounds are drawn between plus and minus this."""


def check_profile(profile: Profile | type[Profile]) -> None:
    """Check that a profile keeps the contract of :mod:`isolux.profiles.base`.

    Parameters
    ----------
    profile : Profile or subclass
        The profile, or its class where it can be made without arguments.

    Raises
    ------
    AssertionError
        What is wrong, and at which radius and parameters.
    """
    made = profile() if isinstance(profile, type) else profile
    _check_declaration(made)
    if not isinstance(made, PointProfile):
        case = _Case.drawn(made, 4)
        _check_batch(case)
        for dtype in (torch.float32, torch.float64):
            _check_finite(_Case.corners(made, dtype))
            _check_finite(case.to(dtype))
        _check_slopes(case)
        _check_precision(case)
    if isinstance(made, RadialProfile):
        _check_total(_Case.drawn(made, 6))
    _check_copies(made)


@dataclass(frozen=True)
class _Case:
    """A profile with points (1, point) and parameter values (galaxy, size) to try it at."""

    profile: Profile
    points: dict[str, Points]
    values: dict[str, Tensor]

    @classmethod
    def drawn(cls, profile: Profile, galaxies: int) -> "_Case":
        """Random values between the bounds."""
        rng = np.random.default_rng(1)
        values = {p.name: _spread(p, rng.uniform(0.02, 0.98, (galaxies, p.size))) for p in _own(profile)}
        return cls(profile, _points(profile), values)

    @classmethod
    def corners(cls, profile: Profile, dtype: torch.dtype) -> "_Case":
        """Every combination of lower and upper bounds, or the first of them where they are many."""
        own = _own(profile)
        ends = list(itertools.islice(itertools.product((0.0, 1.0), repeat=len(own)), MOST_CORNERS))
        values = {
            p.name: _spread(p, np.repeat([[end[k]] for end in ends], p.size, 1)) for k, p in enumerate(own)
        }
        return cls(profile, _points(profile), values).to(dtype)

    def to(self, dtype: torch.dtype) -> "_Case":
        """The same in another precision."""
        points, values = ({k: v.to(dtype) for k, v in d.items()} for d in (self.points, self.values))
        return _Case(self.profile, points, values)

    @property
    def galaxies(self) -> int:
        """Number of sets of values."""
        return max((len(v) for v in self.values.values()), default=1)

    @property
    def scalars(self) -> set[str]:
        """Names of the parameters that are single numbers."""
        return {name for name, value in self.values.items() if value.shape[1] == 1}

    def brightness(self, values: Mapping[str, Tensor] | None = None, **points: Points) -> Points:
        """Brightness (galaxy, point), at other values or points where they are given."""
        assert isinstance(self.profile, RadialProfile | ImageProfile)
        where = self.points | points
        count = max(p.shape[1] for p in where.values())
        return self.profile.brightness(**where, **(values or self.values)).expand(self.galaxies, count)

    def slopes(self, automatic: bool = False) -> tuple[Points, dict[str, Points]]:
        """Brightness and derivatives by name, ``r`` among them; the inherited ones if asked."""
        where = {name: p.expand(self.galaxies, -1) for name, p in self.points.items()}
        if isinstance(self.profile, RadialProfile):
            radial = RadialProfile if automatic else type(self.profile)
            f, by_radius, maps = radial.slopes(self.profile, where["r"], self.values, self.scalars)
            return f, {"r": by_radius, **maps}
        assert isinstance(self.profile, ImageProfile)
        plane = ImageProfile if automatic else type(self.profile)
        return plane.slopes(self.profile, where["x"], where["y"], self.values, self.scalars)

    def complain(self, wrong: Tensor, what: str) -> None:
        """Raise, naming the first of the places (galaxy, point) that are wrong."""
        if not bool(wrong.any()):
            return
        galaxy, point = (int(i) for i in torch.nonzero(wrong)[0])
        place = {name: p[0, point % p.shape[1]].item() for name, p in self.points.items()}
        place |= {n: self.values[n][galaxy, 0].item() for n in self.scalars}
        where = ", ".join(f"{name} = {number:.6g}" for name, number in place.items())
        dtype = str(next(iter(self.points.values())).dtype).removeprefix("torch.")
        raise AssertionError(f"{type(self.profile).__name__}: {what} at {where} ({dtype})")


def _own(profile: Profile) -> list[Parameter]:
    """The parameters that brightness takes, in the sizes of this instance."""
    names = {p.name for p in profile.parameters}
    return [p for p in profile.declared({}) if p.name in names]


def _points(profile: Profile) -> dict[str, Points]:
    """Radii over eleven decades, or positions in and around a stamp; (1, point), float64."""
    rng = np.random.default_rng(2)
    if isinstance(profile, RadialProfile):
        return {"r": torch.as_tensor(np.geomspace(1e-6, 1e5, 300) * rng.uniform(1, 1.05, 300))[None]}
    return {name: torch.as_tensor(rng.uniform(-10, 50, 300))[None] for name in ("x", "y")}


def _spread(parameter: Parameter, fraction: np.ndarray) -> Tensor:
    """Values at fractions of the way from the lower to the upper bound."""
    low = parameter.lower if math.isfinite(parameter.lower) else -UNBOUNDED
    high = parameter.upper if math.isfinite(parameter.upper) else low + 2 * UNBOUNDED
    low = min(low, high - 2 * UNBOUNDED) if not math.isfinite(parameter.lower) else low
    if parameter.log:
        return torch.as_tensor(np.exp(np.log(low) + fraction * (np.log(high) - np.log(low))))
    return torch.as_tensor(low + fraction * (high - low))


def _check_declaration(profile: Profile) -> None:
    """Names are unique, defaults lie within bounds, and settings list every parameter."""
    kind, declared = type(profile).__name__, profile.declared({})
    names = [p.name for p in declared]
    _demand(len(names) == len(set(names)), f"{kind}: two parameters have the same name: {names}")
    _demand(list(profile.settings) == names, f"{kind}: settings are {list(profile.settings)}, not {names}")
    for p in declared:
        _demand(p.name.isidentifier(), f"{kind}: {p.name!r} is no name")
        _demand(bool(p.meaning), f"{kind}: {p.name} needs a meaning")
        _demand(min(p.size, p.step) > 0, f"{kind}: size and step of {p.name} must be above 0")
        inside = p.default is None or p.lower <= p.default <= p.upper
        _demand(inside, f"{kind}: the default {p.default} of {p.name} lies outside {p.lower} to {p.upper}")


def _demand(condition: bool, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)


def _check_batch(case: _Case) -> None:
    """The brightness of a batch is that of its galaxies one by one."""
    together = case.brightness()
    for k in range(case.galaxies):
        alone = _Case(
            case.profile, case.points, {n: v[k : k + 1] for n, v in case.values.items()}
        ).brightness()
        wrong = torch.zeros_like(together, dtype=torch.bool)
        wrong[k] = ~torch.isclose(together[k], alone[0], rtol=1e-10, atol=0)
        case.complain(wrong, "brightness differs between a galaxy alone and in a batch")


def _check_finite(case: _Case) -> None:
    """Brightness, slopes and reverse-mode gradients are finite; radial brightness is not negative."""
    values = {name: v.clone().requires_grad_() for name, v in case.values.items()}
    f = case.brightness(values)
    case.complain(~torch.isfinite(f), "brightness is not finite")
    if isinstance(case.profile, RadialProfile):
        case.complain(f < 0, "brightness is negative")
    if values:
        gradients = torch.autograd.grad(f.mean(), list(values.values()))
        for name, gradient in zip(values, gradients, strict=True):
            wrong = ~torch.isfinite(gradient).all(1, keepdim=True)
            case.complain(wrong, f"the reverse-mode gradient for {name} is not finite")
    for automatic in (False, True):
        for name, slope in case.slopes(automatic)[1].items():
            case.complain(~torch.isfinite(slope), f"{_kind(automatic)} slope for {name} is not finite")


def _check_slopes(case: _Case) -> None:
    """Slopes, the profile's own and by autodiff, agree with central finite differences."""
    for automatic in (False, True):
        f, maps = case.slopes(automatic)
        case.complain(
            ~torch.isclose(f, case.brightness(), rtol=1e-9, atol=1e-300), "slopes give another brightness"
        )
        for name, slope in maps.items():
            difference, error = _finite_difference(case, name)
            wrong = ~((slope - difference).abs() <= SLOPE_RTOL * difference.abs() + error)
            case.complain(wrong, f"{_kind(automatic)} slope for {name} disagrees with finite differences")
    for name in sorted(set(case.values) - case.scalars):
        _check_vector(case, name)


def _kind(automatic: bool) -> str:
    return "the automatic" if automatic else "the profile's"


def _finite_difference(case: _Case, name: str) -> tuple[Points, Points]:
    """Central difference (galaxy, point) for a parameter or coordinate, and its error."""
    at = case.points.get(name, case.values.get(name))
    assert at is not None
    linear = next((not p.log for p in _own(case.profile) if p.name == name), False)
    unit = at.abs().clamp_min(1.0) if linear else at.abs()

    def moved(step: Tensor) -> Points:
        if name in case.points:
            return case.brightness(None, **{name: at + step})
        return case.brightness(case.values | {name: at + step})

    near, far = ((moved(h * unit) - moved(-h * unit)) / (2 * h * unit) for h in (STEP, 2 * STEP))
    f = case.brightness().clamp_min(1e-300)
    rounding = 2.3e-16 * ROUNDING * f * (1 + torch.log(f).abs()) / (STEP * unit)
    return near, 10 * (near - far).abs() + rounding


def _check_vector(case: _Case, name: str) -> None:
    """The reverse-mode gradient of a vector parameter, along a random direction and with random weights."""
    generator = torch.Generator().manual_seed(3)
    at = case.values[name]
    along = torch.randn(at.shape, generator=generator, dtype=at.dtype)
    weight = torch.rand(case.brightness().shape, generator=generator, dtype=at.dtype)

    def light(value: Tensor) -> Tensor:
        return (weight * case.brightness(case.values | {name: value})).sum(1)

    leaf = at.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(light(leaf).sum(), leaf)
    difference = (light(at + STEP * along) - light(at - STEP * along)) / (2 * STEP)
    wrong = ~torch.isclose(
        (gradient * along).sum(1), difference, rtol=1e-5, atol=1e-9 * light(at).abs().max().item()
    )
    case.complain(wrong[:, None], f"the reverse-mode gradient for {name} disagrees with finite differences")


def _check_precision(case: _Case) -> None:
    """Brightness in float32 is that in float64 to within rounding of its inputs."""
    low = case.to(torch.float32).brightness().double()
    rounded = case.to(torch.float32).to(torch.float64)
    high, maps = rounded.slopes()
    share = sum((slope * {**case.points, **case.values}[name]).abs() for name, slope in maps.items())
    allowed = 1.2e-7 * ROUNDING * (high.abs() + share) + 1e-30
    if case.scalars == set(case.values):
        case.complain(~((low - high).abs() <= allowed), "brightness in float32 is far from that in float64")


def _check_total(case: _Case) -> None:
    """The total flux is the integral of 2 pi r f(r), the more so the finer the integral is done."""
    assert isinstance(case.profile, RadialProfile)
    total = case.profile.total(**case.values)
    name = type(case.profile).__name__
    shape = tuple(total.shape)
    _demand(shape == (case.galaxies, 1), f"{name}: total has shape {shape}, not (galaxy, 1)")
    coarse, fine = (_integral(case, panels) for panels in (2000, 4000))
    own = (fine / coarse - 1).abs()
    error = (total / fine - 1).abs()
    wrong = ~(error <= TOTAL_RTOL + own) | ~(error <= (total / coarse - 1).abs() + TOTAL_RTOL)
    if bool(wrong.any()):
        k = int(torch.nonzero(wrong)[0, 0])
        where = ", ".join(f"{n} = {v[k, 0].item():.6g}" for n, v in case.values.items())
        got, truth = total[k].item(), fine[k].item()
        raise AssertionError(
            f"{name}: total is {got:.8g}, the integral of 2 pi r f(r) is {truth:.8g} at {where}"
        )


def _integral(case: _Case, panels: int) -> Tensor:
    """2 pi r f(r) over r = e^t from 1e-9 to 1e60 pixels, Gauss-Legendre in each panel of t; (galaxy, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    edges = np.linspace(math.log(1e-9), math.log(1e60), panels + 1)
    half = 0.5 * (edges[1] - edges[0])
    r = torch.as_tensor(np.exp(edges[:-1, None] + half * (nodes + 1))).reshape(1, -1)
    weight = torch.as_tensor(half * weights).repeat(panels)
    return 2 * math.pi * (case.brightness(r=r) * r * r * weight).sum(1, keepdim=True)


def _check_copies(profile: Profile) -> None:
    """Deep copies and, where the class can be imported, pickles are the same profile."""
    for name, twin in _copies(profile):
        same = repr(twin) == repr(profile) and list(twin.settings) == list(profile.settings)
        _demand(same, f"{type(profile).__name__}: {name} gives {twin!r}, not {profile!r}")
        if not isinstance(profile, PointProfile):
            case = _Case.drawn(profile, 2)
            other = _Case(twin, case.points, case.values)
            case.complain(case.brightness() != other.brightness(), f"{name} gives another brightness")


def _copies(profile: Profile) -> Iterator[tuple[str, Profile]]:
    ways: dict[str, Callable[[], Profile]] = {"a deep copy": lambda: copy.deepcopy(profile)}
    kind = type(profile)
    if getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind:
        ways["a pickle"] = lambda: pickle.loads(pickle.dumps(profile))
    return ((name, way()) for name, way in ways.items())
