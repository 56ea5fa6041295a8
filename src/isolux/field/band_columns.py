"""The columns of a catalogue that several bands add."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from isolux.field.band_book import InBands
from isolux.field.catalogue import Column

UNITS = {"effective_radius": "arcsec", "scale_radius": "arcsec", "position_angle": "deg"}


def band_columns(found: InBands) -> Iterator[Column]:
    """Magnitudes, fluxes and colours, the structure that the bands share, and how the fits ended."""
    scale = {band: field.pixel_scale for band, field in found.fields.items()}
    for k, band in enumerate(found.bands):
        magnitude, error = found.magnitude[:, k], found.magnitude_err[:, k]
        flux = 10 ** (-0.4 * (magnitude - found.fields[band].zero_point))
        yield f"magnitude_{band}", magnitude, "mag", f"total AB magnitude in {band}, by the fit of all bands"
        yield f"magnitude_{band}_err", error, "mag", "one standard deviation of it"
        yield f"flux_{band}", flux, "flux", f"the same as flux, in the unit of the image of {band}"
        yield f"flux_{band}_err", flux * error * np.log(10) / 2.5, "flux", "one standard deviation of it"
    for one in range(len(found.bands) - 1):
        pair = found.bands[one], found.bands[one + 1]
        matrix = found.covariance
        variance = matrix[:, one, one] + matrix[:, one + 1, one + 1] - 2 * matrix[:, one, one + 1]
        value = found.magnitude[:, one] - found.magnitude[:, one + 1]
        name = f"colour_{pair[0]}_{pair[1]}"
        yield name, value, "mag", f"magnitude in {pair[0]} less that in {pair[1]}"
        yield (
            f"{name}_err",
            np.sqrt(np.where(variance >= 0, variance, np.nan)),
            "mag",
            "one standard deviation of it",
        )
    for name, pairs in sorted(found.structure.items()):
        short = name.split(".")[1]
        unit = UNITS.get(short, "")
        times = scale[found.bands[0]] if unit == "arcsec" else 1.0
        flat = name.replace(".", "_")
        yield (
            f"{flat}_joint",
            times * pairs[:, 0],
            unit,
            f"{short.replace('_', ' ')}, by the fit of all bands",
        )
        yield f"{flat}_joint_err", times * pairs[:, 1], unit, "one standard deviation of it"
    for name, each in sorted(found.by_band.items()):
        short = name.split(".")[1]
        for k, band in enumerate(found.bands):
            unit = UNITS.get(short, "")
            times = scale[band] if unit == "arcsec" else 1.0
            flat = name.replace(".", "_")
            yield f"{flat}_{band}", times * each[:, k], unit, f"{short.replace('_', ' ')} in {band}"
    seen = [" ".join(b for b, there in zip(found.bands, row, strict=True) if there) for row in found.present]
    yield "bands", np.array(seen, dtype=str), "", "bands that took part in the fit of all"
    yield "structure_held", found.held, "", "too faint: the structure is that of the first band"
    yield (
        "status_bands",
        np.array([int(s) for s in found.status], np.int32),
        "",
        "why that fit ended; 0 converged",
    )
    yield "flags_bands", np.array([int(f) for f in found.flags], np.int32), "", "remarks on that fit"
