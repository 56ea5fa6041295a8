"""What became of each galaxy: status, flags and message, before, during and after its fit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from isolux.batch import Batch
from isolux.parameter_map import ParameterMap
from isolux.profiles.base import PointProfile, Profile, RadialProfile
from isolux.scene import Scene
from isolux.status import Flag, Status
from isolux.types import PerGalaxy, Tensor, Values

SIGNAL = 20
"""Matched-filter signal-to-noise of a component below which its errors are doubtful."""
BROAD = 0.3
"""Relative error of a size, an index or a flux above which chi-square is no quadratic any more."""
ROOM = 3.0
"""Errors that a free number needs between it and a bound (for an axis ratio: between it and a circle)."""


@dataclasses.dataclass
class Fate:
    """Status, flags and message of every galaxy before and after the fit."""

    status: list[Status]
    flags: list[Flag]
    message: list[str]

    @classmethod
    def of(cls, batch: Batch, parameters: ParameterMap) -> Fate:
        """What is known before the fit: unusable input, too few pixels, impossible starting values."""
        fate = cls(list(batch.status), list(batch.flags), list(batch.message))
        pixels = (~batch.mask).flatten(1).sum(1).tolist()
        faults = start_faults(batch.id, parameters)
        for k, name in enumerate(batch.id):
            if fate.status[k] is not Status.RUNNING:
                continue
            if pixels[k] < parameters.n_free:
                text = f"galaxy {name}: {pixels[k]} good pixels for {parameters.n_free} free parameters"
                fate.end(k, Status.TOO_FEW_PIXELS, text)
            elif faults[k]:
                fate.end(k, Status.BAD_START, faults[k])
        return fate

    def refuse(self, status: Status, faults: Sequence[str]) -> None:
        """End the galaxies that could be fitted but for a fault, one sentence a galaxy; empty where there is none."""
        for galaxy, fault in enumerate(faults):
            if fault and self.status[galaxy] is Status.RUNNING:
                self.end(galaxy, status, fault)

    @property
    def fittable(self) -> list[int]:
        """Numbers of the galaxies to fit."""
        return [k for k, status in enumerate(self.status) if status is Status.RUNNING]

    def end(self, galaxy: int, status: Status, message: str = "") -> None:
        """Set how a galaxy ended."""
        self.status[galaxy] = status
        self.message[galaxy] = message or status.message

    def mark(self, galaxies: Tensor, flag: Flag) -> None:
        """Set a flag on the galaxies where (galaxy,) is true."""
        for k in torch.nonzero(galaxies)[:, 0].tolist():
            self.flags[k] |= flag


def start_faults(names: Sequence[str], parameters: ParameterMap) -> list[str]:
    """What is wrong with starting values, one sentence for each of the galaxies' names; empty where nothing is."""
    moving = [c for c, kind in enumerate(parameters.kinds()) if kind != "tied"]
    given, low, high = (t[:, moving] for t in (parameters.values, parameters.lower, parameters.upper))
    free = torch.tensor([c in parameters.free for c in moving], device=given.device)
    wrong = ~torch.isfinite(given) | (free & ((given < low) | (given > high)))
    texts = [""] * len(names)
    for k in torch.nonzero(wrong.any(1))[:, 0].tolist():
        c = int(wrong[k].to(torch.int64).argmax())
        texts[k] = (
            f"galaxy {names[k]}: {parameters.names[moving[c]]} starts at {float(given[k, c]):.6g}, "
            f"allowed {float(low[k, c]):.6g} to {float(high[k, c]):.6g}"
        )
    return texts


def remark(
    fate: Fate,
    batch: Batch,
    scene: Scene,
    parameters: ParameterMap,
    values: Values,
    covariance: Tensor | None,
) -> None:
    """Set the flags that follow from fitted values (galaxy, parameter) and their covariance, where there is one."""
    done = torch.tensor([status.fitted for status in fate.status], device=values.device)
    index = {name: k for k, name in enumerate(parameters.names)}
    if covariance is not None:
        _doubt(fate, done, scene, parameters, values, covariance)
    for name, profile in scene.components.items():
        if not isinstance(profile, RadialProfile | PointProfile):
            continue
        inside, masked = _centre_pixel(batch, values[:, index[f"{name}.x"]], values[:, index[f"{name}.y"]])
        fate.mark(done & ~inside, Flag.OFF_CENTRE)
        fate.mark(done & inside & masked, Flag.CENTRE_MASKED)
        if batch.psf is not None:
            fate.mark(done & _small(batch, profile, name, index, values), Flag.UNRESOLVED)


def _doubt(
    fate: Fate, done: Tensor, scene: Scene, parameters: ParameterMap, values: Values, covariance: Tensor
) -> None:
    """Flag the galaxies whose errors cannot come from a quadratic chi-square: faint, broad or near a bound.

    Measured on 15,000 mocks: these marks, which cost nothing, part galaxies whose intervals hold the truth from
    those whose do not better than chi-square itself does, evaluated one or two errors along all axes of the
    covariance. Where noise has made a galaxy compact, its chi-square looks quadratic and its errors are too small.
    """
    free = list(parameters.free)
    amplitudes = {
        f"{name}.{profile.amplitude}"
        for name, profile in scene.components.items()
        if isinstance(profile, RadialProfile | PointProfile)
    }
    is_amplitude = torch.tensor([parameters.names[c] in amplitudes for c in free], device=values.device)
    is_log = torch.tensor([parameters.log[c] for c in free], device=values.device)
    magnitude = torch.tensor([parameters.names[c].endswith(".magnitude") for c in free], device=values.device)
    fitted, matrix = values[:, free], covariance[:, free][:, :, free]
    error = torch.sqrt(torch.diagonal(matrix, dim1=1, dim2=2))
    unit = torch.where(magnitude, 2.5 / math.log(10), fitted.abs())
    low = (is_amplitude & (SIGNAL * errors_alone(matrix) > unit)).any(1)
    broad = ((is_amplitude | is_log) & (error > BROAD * unit)).any(1)
    stuck = torch.tensor([Flag.AT_BOUND in flags for flags in fate.flags], device=values.device)
    near = _near_bound(fitted, error, is_log, parameters.lower[:, free], parameters.upper[:, free])
    fate.mark(done & low, Flag.LOW_SIGNAL)
    fate.mark(done & (low | broad | near | stuck), Flag.NOT_QUADRATIC)


def errors_alone(matrix: Tensor) -> Tensor:
    """Error (galaxy, free) that each number would have if all others were known: 1 / sqrt of the inverse's diagonal.

    Of an amplitude it is the matched filter's. Numbers without a variance count as known; NaN where the matrix is
    singular.
    """
    scale = torch.diagonal(matrix, dim1=1, dim2=2).rsqrt()
    missing = ~torch.isfinite(scale)
    either = missing[:, :, None] | missing[:, None, :]
    identity = torch.eye(matrix.shape[1], dtype=matrix.dtype, device=matrix.device)
    correlation = torch.where(either, identity, matrix * scale[:, :, None] * scale[:, None, :])
    inverse, fault = torch.linalg.inv_ex(correlation)
    found = (torch.diagonal(inverse, dim1=1, dim2=2).sqrt() * scale).reciprocal()
    return torch.where(fault[:, None] == 0, found, torch.nan)


def _near_bound(fitted: Values, error: Values, is_log: Tensor, lower: Values, upper: Values) -> Tensor:
    """Whether a bound is within ``ROOM`` errors of any free number (galaxy,), as it is fitted."""
    error = torch.where(is_log, error / fitted, error)
    low, at, high = (torch.where(is_log, torch.log(t.clamp_min(1e-300)), t) for t in (lower, fitted, upper))
    return ((at - low < ROOM * error) | (high - at < ROOM * error)).any(1)


def _small(batch: Batch, profile: Profile, name: str, index: dict[str, int], values: Values) -> Tensor:
    """Whether the circularised half-light radius of a component is below the PSF's half width."""
    small = torch.zeros(len(batch), dtype=torch.bool, device=values.device)
    for parameter in profile.parameters:
        if parameter.guess == "radius":
            half_light = values[:, index[f"{name}.{parameter.name}"]] / parameter.guess_factor
            small |= half_light * torch.sqrt(values[:, index[f"{name}.axis_ratio"]]) < _psf_half_width(batch)
    return small


def _centre_pixel(batch: Batch, x: PerGalaxy, y: PerGalaxy) -> tuple[Tensor, Tensor]:
    """Whether a centre lies inside the stamp, and whether its pixel is masked; each (galaxy,)."""
    column, row = (torch.nan_to_num(centre, nan=-1).round().long() for centre in (x, y))
    tall, wide = batch.shape
    inside = (column >= 0) & (column < wide) & (row >= 0) & (row < tall)
    galaxies = torch.arange(len(batch), device=row.device)
    return inside, batch.mask[galaxies, row.clamp(0, tall - 1), column.clamp(0, wide - 1)]


def _psf_half_width(batch: Batch) -> PerGalaxy:
    """Half width at half maximum, in pixels, of the Gaussian with the same peak as the PSF."""
    assert batch.psf is not None
    peak = batch.psf.flatten(1).amax(1).double().clamp_min(1e-6)
    return torch.sqrt(1.39 / (2 * torch.pi * peak)) / batch.psf_oversampling
