"""Sources as components in the pixels of a stamp: what is smooth as profiles, the rest in :mod:`isolux.mock.relief`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isolux.mock.features import BAR_INDEX
from isolux.mock.surveys import Band
from isolux.profiles import Exponential, PointSource, Profile, Sersic


def components(own: Mapping[str, np.ndarray], band: Band, kind: str) -> dict[str, Profile]:
    """The smooth components of sources of one kind, in pixels of a stamp.

    Parameters
    ----------
    own : mapping
        Columns of the truth of these sources, with x and y in the stamp.
    band : Band
        Pixel scale and zero point.
    kind : {"star", "sersic", "bulge+disc", "realistic"}
        What they are.
    """
    place, scale = {"x": own["x"], "y": own["y"]}, band.pixel_scale
    if kind == "star":
        return {"star": PointSource(**place, flux=band.flux(own["magnitude"]))}
    if kind == "sersic":
        galaxy = Sersic(
            **place,
            flux=band.flux(own["magnitude"]),
            effective_radius=own["effective_radius"] / scale,
            sersic_index=own["sersic_index"],
            axis_ratio=own["axis_ratio"],
            position_angle=own["position_angle"],
        )
        return {"galaxy": galaxy}
    fluxes = disc_fluxes(own, band)
    parts: dict[str, Profile] = {
        "bulge": Sersic(
            **place,
            flux=band.flux(own["bulge_magnitude"]),
            effective_radius=own["bulge_effective_radius"] / scale,
            sersic_index=own["bulge_sersic_index"],
            axis_ratio=own["bulge_axis_ratio"],
            position_angle=own["bulge_position_angle"],
        ),
        "disc": Exponential(
            **place,
            flux=fluxes["plain"],
            scale_radius=own["disc_scale_radius"] / scale,
            axis_ratio=own["disc_axis_ratio"],
            position_angle=own["disc_position_angle"],
        ),
    }
    if kind == "realistic":
        there = own["bar_share"] > 0
        parts["bar"] = Sersic(
            **place,
            flux=fluxes["bar"],
            effective_radius=np.where(there, own["bar_radius"], 1.0) * own["disc_scale_radius"] / scale,
            sersic_index=np.full(len(there), BAR_INDEX),
            axis_ratio=np.where(there, own["bar_ratio"], 1.0),
            position_angle=own["bar_angle"],
        )
    return parts


def disc_fluxes(own: Mapping[str, np.ndarray], band: Band) -> dict[str, np.ndarray]:
    """Image units in the plain disc before dust, in the bar and in the clumps of each galaxy.

    The disc's magnitude is that of what comes out: D [(1 - bar - clumps) passed + bar + clumps], D before dust.
    """
    smooth = 1 - own["bar_share"] - own["clump_share"]
    before = band.flux(own["disc_magnitude"]) / (1 - smooth * (1 - own["dust_passes"]))
    return {
        "plain": before * smooth,
        "bar": before * own["bar_share"],
        "clumps": before * own["clump_share"],
    }
