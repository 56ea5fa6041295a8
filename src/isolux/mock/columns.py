"""What the columns of a truth are, with their units: by the name before ``_<band>``."""

from __future__ import annotations

from collections.abc import Iterable

COLUMNS: dict[str, tuple[str, str]] = {
    "number": ("", "number of the source, from 1"),
    "kind": ("", "star, sersic or bulge+disc"),
    "ra": ("deg", "right ascension"),
    "dec": ("deg", "declination"),
    "x": ("pix", "column, from 0"),
    "y": ("pix", "row, from 0"),
    "magnitude": ("mag", "total AB magnitude"),
    "half_light_radius": ("arcsec", "semi-major half-light radius of the whole galaxy, without its features"),
    "snr": ("", "matched-filter signal-to-noise of the noiseless image, its own photons included"),
    "inside": ("", "share of the light that fell on the field"),
    "saturated": ("", "whether the pixel at its position is saturated"),
    "effective_radius": ("arcsec", "semi-major half-light radius of a single Sérsic profile"),
    "sersic_index": ("", "its Sérsic index"),
    "axis_ratio": ("", "its axis ratio"),
    "position_angle": ("deg", "its position angle, from +y counter-clockwise"),
    "bulge_magnitude": ("mag", "of the bulge"),
    "bulge_effective_radius": ("arcsec", "semi-major half-light radius of the bulge"),
    "bulge_sersic_index": ("", "of the bulge"),
    "bulge_axis_ratio": ("", "of the bulge"),
    "bulge_position_angle": ("deg", "of the bulge"),
    "disc_magnitude": ("mag", "of the disc with its bar and clumps, after dust"),
    "disc_scale_radius": ("arcsec", "scale length of the disc along its major axis"),
    "disc_axis_ratio": ("", "of the disc"),
    "disc_position_angle": ("deg", "of the disc"),
    "realistic": ("", "whether the disc has features"),
    "arm_strength": ("", "amplitude of spiral arms"),
    "arm_number": ("", "number of spiral arms"),
    "arm_pitch": ("deg", "their pitch angle"),
    "arm_phase": ("deg", "their phase"),
    "dust_depth": ("", "optical depth of the dust lane at 814 nm"),
    "dust_offset": ("", "its distance from the major axis, in scale lengths"),
    "dust_width": ("", "its width (standard deviation), in scale lengths"),
    "dust_passes": ("", "share of the smooth disc's light that it lets through"),
    "bar_share": ("", "part of the disc's light in the bar, before dust"),
    "bar_radius": ("", "half-light radius of the bar, in scale lengths"),
    "bar_ratio": ("", "axis ratio of the bar"),
    "bar_angle": ("deg", "position angle of the bar"),
    "clump_share": ("", "part of the disc's light in clumps, before dust"),
    "clump_size": ("", "size (standard deviation) of clumps, in scale lengths"),
    "clump_weight": ("", "share of the clumps' light in each of them"),
    "clump_along": ("", "their places along the major axis, in scale lengths"),
    "clump_across": ("", "their places across it on the sky, in scale lengths"),
    "partner": ("", "number of the other one of a pair, 0 without"),
    "neighbour": ("", "number of the nearest source, 0 without"),
    "neighbour_distance": ("arcsec", "its distance"),
    "neighbour_fainter": ("mag", "its magnitude less the source's own, in the first band"),
}


def meaning(column: str, bands: Iterable[str]) -> tuple[str, str]:
    """Unit and description of a column; both empty for one that a user added."""
    if column in COLUMNS:
        return COLUMNS[column]
    for band in bands:
        stem = column.removesuffix(f"_{band}")
        if stem != column and stem in COLUMNS:
            unit, text = COLUMNS[stem]
            return unit, f"{text}, in {band}"
    return "", ""
