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
"""Signal-to-noise below which the errors of a component are doubtful."""


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
        moving = [c for c, kind in enumerate(parameters.kinds()) if kind != "tied"]
        given, low, high = (t[:, moving] for t in (parameters.values, parameters.lower, parameters.upper))
        free = torch.tensor([c in parameters.free for c in moving], device=given.device)
        wrong = ~torch.isfinite(given) | (free & ((given < low) | (given > high)))
        for k, name in enumerate(batch.id):
            if fate.status[k] is not Status.RUNNING:
                continue
            if pixels[k] < parameters.n_free:
                text = f"galaxy {name}: {pixels[k]} good pixels for {parameters.n_free} free parameters"
                fate.end(k, Status.TOO_FEW_PIXELS, text)
            elif bool(wrong[k].any()):
                c = int(wrong[k].to(torch.int64).argmax())
                text = (
                    f"galaxy {name}: {parameters.names[moving[c]]} starts at {float(given[k, c]):.6g}, "
                    f"allowed {float(low[k, c]):.6g} to {float(high[k, c]):.6g}"
                )
                fate.end(k, Status.BAD_START, text)
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


def remark(
    fate: Fate, batch: Batch, scene: Scene, parameters: ParameterMap, values: Values, errors: Values
) -> None:
    """Set the flags that follow from the fitted values (galaxy, parameter) and their errors."""
    done = torch.tensor([status.fitted for status in fate.status], device=values.device)
    index = {name: k for k, name in enumerate(parameters.names)}
    for name, profile in scene.components.items():
        if not isinstance(profile, RadialProfile | PointProfile):
            continue
        inside, masked = _centre_pixel(batch, values[:, index[f"{name}.x"]], values[:, index[f"{name}.y"]])
        fate.mark(done & ~inside, Flag.OFF_CENTRE)
        fate.mark(done & inside & masked, Flag.CENTRE_MASKED)
        fate.mark(done & _faint(profile.amplitude, name, index, values, errors), Flag.LOW_SIGNAL)
        if batch.psf is not None:
            fate.mark(done & _small(batch, profile, name, index, values), Flag.UNRESOLVED)


def _faint(amplitude: str, name: str, index: dict[str, int], values: Values, errors: Values) -> Tensor:
    """Whether the amplitude of a component is known to worse than one part in ``SIGNAL``."""
    value, error = (numbers[:, index[f"{name}.{amplitude}"]] for numbers in (values, errors))
    relative = error * math.log(10) / 2.5 if amplitude == "magnitude" else error / value.abs()
    return relative > 1 / SIGNAL


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
