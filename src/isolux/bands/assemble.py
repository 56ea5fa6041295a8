"""From the solution of the joint problem to a result for each band and one for all of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from isolux.bands.colours import gather, magnitudes_of
from isolux.bands.ended import Ended, View
from isolux.bands.problem import JointFit
from isolux.bands.result import BandsResult
from isolux.bands.series import series_of
from isolux.bands.together import together
from isolux.derived import derived_quantities
from isolux.fate import Fate, remark
from isolux.fit import columns_of, wrapped
from isolux.result import Result
from isolux.solve import Solution
from isolux.status import Flag, Status
from isolux.types import Rows
from isolux.uncertainty import standard_errors


def assemble(
    fit: JointFit,
    rows: Rows,
    solution: Solution,
    *,
    wanted: bool,
    wavelengths: Mapping[str, float] | None,
    reference: str,
    clock: float,
) -> BandsResult:
    """The result of all galaxies, fitted or not; with errors if ``wanted``."""
    for row, galaxy in enumerate(rows.tolist()):
        status, reasons = Status(int(solution.status[row])), fit.fate.message[galaxy]
        fit.fate.end(galaxy, status, f"{status.message}; {reasons}" if reasons else "")
    ended = Ended.of(fit, rows, solution, wanted, clock)
    views = [View.of(fit, ended, b) for b in range(len(fit.batches))]
    bands = {name: _band(fit, ended, views[b], b) for b, name in enumerate(fit.batches)}
    light = [
        magnitudes_of(fit.scene, view.values, view.slopes, result.zero_point, result.pixel_scale)
        for view, result in zip(views, bands.values(), strict=True)
    ]
    magnitudes = gather(tuple(fit.batches), light, ended.free)
    _remark_all(fit, ended, bands)
    return BandsResult(
        bands=bands,
        joint=together(fit, ended, views, bands, magnitudes),
        magnitudes=magnitudes,
        series={} if wavelengths is None else series_of(fit, ended),
        wavelengths=None if wavelengths is None else {name: float(wavelengths[name]) for name in fit.batches},
        reference=reference,
        frame=fit.frames.frame,
        present=fit.frames.present,
    )


def _band(fit: JointFit, ended: Ended, view: View, b: int) -> Result:
    """A band by itself, in its own pixels."""
    batch, own = list(fit.batches.values())[b], fit.maps[b]
    zero_point, scale = batch.zero_point.cpu(), batch.pixel_scale.cpu()
    present = fit.frames.present[:, b]
    derived, values, errors = derived_quantities(fit.scene, view.values, view.covariance, zero_point, scale)
    fate = _fate(fit, view, b)
    return Result(
        id=batch.id,
        columns=columns_of(fit.scene, own),
        kinds=own.kinds(),
        values=wrapped(fit.scene, view.values),
        errors=standard_errors(own.kinds(), view.values, view.covariance),
        covariance=view.covariance,
        at_bound=view.at_bound,
        derived=derived,
        derived_values=values,
        derived_errors=errors,
        chi2=torch.where(present, ended.chi2[:, b], torch.nan),
        n_pixels=(~batch.mask).flatten(1).sum(1).cpu(),
        n_free=torch.full((len(batch),), own.n_free),
        status=tuple(fate.status),
        flags=tuple(fate.flags),
        message=tuple(fate.message),
        steps=ended.steps,
        seconds=ended.seconds,
        zero_point=zero_point,
        pixel_scale=scale,
        wcs=batch.wcs,
        n_effective=None if ended.effective is None else torch.full_like(ended.effective, torch.nan),
    )


def _fate(fit: JointFit, view: View, b: int) -> Fate:
    """Status and remarks of a band: the joint fit's where the band took part."""
    batch, device = list(fit.batches.values())[b], fit.problem.owner.device
    fate = Fate(list(fit.fate.status), list(batch.flags), list(fit.fate.message))
    for k, reason in enumerate(fit.frames.reasons[b]):
        if reason:
            fate.end(k, fit.frames.fates[b][k], reason)
            fate.flags[k] |= Flag.BAND_MISSING
    done = torch.tensor([status.fitted for status in fate.status])
    fate.mark(view.at_bound.any(1) & done, Flag.AT_BOUND)
    matrix = None if view.covariance is None else view.covariance.to(device)
    remark(fate, batch, fit.scene, fit.problem.problems[b].parameters, view.values.to(device), matrix)
    return fate


def _remark_all(fit: JointFit, ended: Ended, bands: Mapping[str, Result]) -> None:
    """Remarks on all bands together: those of any band that took part, and unknowns without an error."""
    for k in range(len(fit.fate.status)):
        for b, result in enumerate(bands.values()):
            if fit.frames.present[k, b]:
                fit.fate.flags[k] |= result.flags[k]
    done = torch.tensor([status.fitted for status in fit.fate.status])
    if ended.free is not None:
        unknown = torch.isnan(torch.diagonal(ended.free, dim1=1, dim2=2))
        fit.fate.mark((unknown & fit.layout.used & ~ended.hit).any(1) & done, Flag.NO_COVARIANCE)
