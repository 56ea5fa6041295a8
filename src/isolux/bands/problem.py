"""The joint problem of a scene in several bands, and where its search begins."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from isolux.bands.carry import back, carry, carrying, in_solver, is_structure
from isolux.bands.frames import Frames
from isolux.bands.joint import JointMap, JointProblem
from isolux.bands.layout import Layout, by_band
from isolux.bands.starts import Starts, find_starts
from isolux.batch import Batch
from isolux.fate import Fate, start_faults
from isolux.fit import flux_unit, moved_inside
from isolux.likelihood import ChiSquare
from isolux.parameter_map import ParameterMap, build_map
from isolux.parameters import PlacedParameter
from isolux.renderer import Renderer
from isolux.scene import Scene
from isolux.status import Flag, Status
from isolux.types import Tensor, Theta


@dataclasses.dataclass(frozen=True)
class JointFit:
    """All that a fit of several bands is made of.

    Attributes
    ----------
    batches : dict of Batch
        The bands, with all pixels masked of galaxies that they do not take part for.
    scene : Scene
        The model.
    frames, layout : Frames, Layout
        Where galaxies are seen, and what the unknowns are.
    maps : tuple of ParameterMap
        Of each band by itself, in its own pixels.
    changes : tuple
        For each band (L, k), from values in the frame's pixels to values in its own.
    frame : ParameterMap
        Of the frame.
    varied : frozenset of str
        Parameters for which the caller gave values band by band.
    problem : JointProblem
        What is to be minimised.
    begin : Tensor
        (galaxy, unknown): where from.
    fate : Fate
        What is known of each galaxy before.
    """

    batches: dict[str, Batch]
    scene: Scene
    frames: Frames
    layout: Layout
    maps: tuple[ParameterMap, ...]
    changes: tuple[tuple[Tensor, Tensor], ...]
    frame: ParameterMap
    varied: frozenset[str]
    problem: JointProblem
    begin: Theta
    fate: Fate


def pose(
    batches: Mapping[str, Batch],
    scene: Scene,
    frames: Frames,
    layout: Layout,
    start: Mapping[str, Any] | None,
) -> JointFit:
    """The joint problem of the bands."""
    shown = {name: _shown(batch, frames, b) for b, (name, batch) in enumerate(batches.items())}
    device = next(iter(shown.values())).image.device
    starts = find_starts(scene, shown, frames, start)
    changes = _changes(scene, shown, frames, layout)
    frame = _frame_map(scene, shown, frames, starts, changes)
    light = _own_light(scene, layout)
    maps = tuple(
        _band_map(scene, batch, frame, change, starts, b, light, frames.present[:, b])
        for b, (batch, change) in enumerate(zip(shown.values(), changes, strict=True))
    )
    own = torch.tensor([name in light for name in layout.names])
    joint = _joint_map(frame, maps, changes, own, layout)
    problems = tuple(
        ChiSquare.of(Renderer.of(scene.components, batch), _on(band, device), batch)
        for band, batch in zip(maps, shown.values(), strict=True)
    )
    owner = torch.arange(len(frames.frame), device=device)
    return JointFit(
        batches=shown,
        scene=scene,
        frames=frames,
        layout=layout,
        maps=maps,
        changes=changes,
        frame=frame,
        varied=starts.varied,
        problem=JointProblem(problems, joint.to(device), frames.present.to(device), owner),
        begin=_begin(frame, maps, own, layout, joint).to(device),
        fate=_fate(shown, frames, frame, maps, len(layout.column)),
    )


def _shown(batch: Batch, frames: Frames, b: int) -> Batch:
    """A band with harmless numbers and no good pixel of the galaxies that it does not take part for."""
    absent = ~frames.present[:, b].to(batch.image.device)
    zero_point, scale = torch.nan_to_num(batch.zero_point), batch.pixel_scale
    good = torch.isfinite(scale) & (scale > 0)
    return dataclasses.replace(
        batch,
        image=torch.where(absent[:, None, None], 0.0, batch.image),
        sigma=torch.where(absent[:, None, None], 1.0, batch.sigma),
        mask=batch.mask | absent[:, None, None],
        zero_point=zero_point,
        pixel_scale=torch.where(good, scale, torch.ones_like(scale)),
    )


def _changes(
    scene: Scene, shown: Mapping[str, Batch], frames: Frames, layout: Layout
) -> tuple[tuple[Tensor, Tensor], ...]:
    """From the frame to each band."""
    own = layout.separate.tolist()
    shared = [name for name, separate in zip(layout.names, own, strict=True) if not separate]
    points = [batch.zero_point.cpu() for batch in shown.values()]
    here = frames.of_frame(points)
    return tuple(
        carrying(scene, grids, 10 ** (0.4 * (point - here)), shared)
        for grids, point in zip(frames.grids, points, strict=True)
    )


def _frame_map(
    scene: Scene,
    shown: Mapping[str, Batch],
    frames: Frames,
    starts: Starts,
    changes: tuple[tuple[Tensor, Tensor], ...],
) -> ParameterMap:
    """The parameters in the frame's pixels, at their starting values; bounds are given in the reference's."""
    carried = [carry(v, *back(*change)) for v, change in zip(starts.values, changes, strict=True)]
    values = torch.stack(carried)[starts.best, torch.arange(len(starts.best))]
    unit = frames.of_frame([flux_unit(batch).cpu() for batch in shown.values()])
    found = build_map(scene.parameters, values, unit)
    stretch = frames.of_frame([grids.scale for grids in frames.starts])[:, None]
    lengths = torch.tensor([entry.parameter.unit == "pixel" for entry in _entries(scene)])
    lower, upper = (torch.where(lengths, bound * stretch, bound) for bound in (found.lower, found.upper))
    found = dataclasses.replace(found, lower=lower, upper=upper)
    estimated = tuple(any(bands) for bands in zip(*starts.estimated, strict=True))
    return dataclasses.replace(found, values=moved_inside(found, estimated))


def _band_map(
    scene: Scene,
    batch: Batch,
    frame: ParameterMap,
    change: tuple[Tensor, Tensor],
    starts: Starts,
    b: int,
    own_light: Sequence[str],
    present: Tensor,
) -> ParameterMap:
    """The parameters in a band's pixels: its own light and what is fixed in it, all else from the frame.

    Bounds of centres, sizes and angles are the frame's alone.
    """
    entries = _entries(scene)
    own, carried = starts.values[b], carry(frame.values, *change)
    free = torch.tensor([kind == "free" for kind in frame.kinds()])
    light = torch.tensor([entry.full_name in own_light for entry in entries])
    structure = torch.tensor([is_structure(entry.parameter) for entry in entries])
    guessed = torch.tensor(starts.estimated[b]) | ~present[:, None]
    values = torch.where((free & ~light) | (guessed & ~torch.isfinite(own)), carried, own)
    found = build_map(scene.parameters, values, flux_unit(batch).cpu())
    lowest = torch.where(torch.tensor(found.log), 0.0, -torch.inf).to(values)
    lower = torch.where(structure, lowest, found.lower)
    upper = torch.where(structure, torch.inf, found.upper)
    found = dataclasses.replace(found, lower=lower, upper=upper)
    inside = moved_inside(found, starts.estimated[b])
    return dataclasses.replace(found, values=torch.where(light, inside, values))


def _entries(scene: Scene) -> list[PlacedParameter]:
    """The parameter of each column."""
    return [entry for entry in scene.parameters for _ in range(entry.parameter.size)]


def _own_light(scene: Scene, layout: Layout) -> list[str]:
    """Free fluxes and the like that each band has to itself, in its own unit."""
    names = [name for name, own in zip(layout.names, layout.separate.tolist(), strict=True) if own]
    return [entry.full_name for entry in scene.parameters if entry.full_name in names and by_band(entry)]


def _joint_map(
    frame: ParameterMap,
    maps: Sequence[ParameterMap],
    changes: Sequence[tuple[Tensor, Tensor]],
    own: Tensor,
    layout: Layout,
) -> JointMap:
    """From the unknowns to what the fit of each band moves."""
    turns, offsets, low, high = [], [], [], []
    for band, change in zip(maps, changes, strict=True):
        turn, offset = in_solver(frame, band, *change)
        same = own[:, None] | own[None, :]
        turns.append(torch.where(same, torch.eye(len(own)).to(turn), turn))
        offsets.append(torch.where(own, 0.0, offset))
        low.append(torch.where(own, band.bounds()[0], frame.bounds()[0]))
        high.append(torch.where(own, band.bounds()[1], frame.bounds()[1]))
    lowest, highest, turn, offset = (torch.stack(tensors, 1) for tensors in (low, high, turns, offsets))
    return JointMap.of(layout, lowest, highest, turn, offset, frame.steps)


def _begin(
    frame: ParameterMap, maps: Sequence[ParameterMap], own: Tensor, layout: Layout, joint: JointMap
) -> Theta:
    """Where the search begins (galaxy, unknown), within bounds."""
    common = frame.to_theta(frame.values)
    bands = torch.stack([torch.where(own, band.to_theta(band.values), common) for band in maps], 1)
    galaxies = torch.arange(len(common))[:, None]
    theta = bands[galaxies, layout.node.clamp_min(0), layout.column]
    return torch.clamp(theta.nan_to_num(0.0), joint.lower, joint.upper)


def _fate(
    shown: Mapping[str, Batch],
    frames: Frames,
    frame: ParameterMap,
    maps: Sequence[ParameterMap],
    unknowns: int,
) -> Fate:
    """What is known before: no band at all, too few pixels, impossible starting values, bands that are missing."""
    batches = list(shown.values())
    fate = Fate([], [], [])
    pixels = torch.stack([(~batch.mask).flatten(1).sum(1).cpu() for batch in batches], 1).sum(1).tolist()
    for k, home in enumerate(frames.frame.tolist()):
        seen = torch.nonzero(frames.present[k])[:, 0].tolist()
        reasons = [texts[k] for texts in frames.reasons if texts[k]]
        flags = Flag(0) if len(seen) == len(batches) else Flag.BAND_MISSING
        for b in seen or [home]:
            flags |= batches[b].flags[k]
        fate.status.append(Status.RUNNING if seen else frames.fates[home][k])
        fate.flags.append(flags)
        fate.message.append("; ".join(reasons))
        if seen and pixels[k] < unknowns:
            fate.end(
                k, Status.TOO_FEW_PIXELS, f"galaxy {batches[0].id[k]}: {pixels[k]} good pixels in all bands"
            )
    fate.refuse(Status.BAD_START, start_faults(batches[0].id, frame))
    for b, band in enumerate(maps):
        faults = start_faults(batches[0].id, band)
        fate.refuse(Status.BAD_START, [f if frames.present[k, b] else "" for k, f in enumerate(faults)])
    return fate


def _on(found: ParameterMap, device: torch.device) -> ParameterMap:
    """The same on a device."""
    names = ("values", "lower", "upper", "scale", "steps", "flux_unit")
    return dataclasses.replace(found, **{name: getattr(found, name).to(device) for name in names})
