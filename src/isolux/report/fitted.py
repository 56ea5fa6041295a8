"""What is to be drawn of a galaxy of a fitted batch."""

from __future__ import annotations

import numpy as np

from isolux.batch import Batch
from isolux.errors import InputError, unknown_name
from isolux.profiles.base import ImageProfile, Profile
from isolux.report.labels import component_line, entries_of
from isolux.report.profile1d import psf_fwhm
from isolux.report.view import Component, GalaxyView, goodness, main_shape, shape_from
from isolux.result import Result
from isolux.scene import Scene
from isolux.types import Tensor


def galaxy_number(batch: Batch, galaxy: int | str) -> int:
    """Number in the batch of a galaxy given by number or id.

    Raises
    ------
    InputError
        If there is no such galaxy.
    """
    if isinstance(galaxy, str):
        if galaxy not in batch.id:
            raise unknown_name("galaxy", galaxy, batch.id)
        return batch.id.index(galaxy)
    if not -len(batch) <= galaxy < len(batch):
        raise InputError("number of a galaxy", galaxy, f"0 to {len(batch) - 1}")
    return galaxy % len(batch)


def view_of(batch: Batch, scene: Scene, result: Result, galaxy: int | str) -> GalaxyView:
    """What is to be drawn of one galaxy of a fitted batch.

    Raises
    ------
    InputError
        If there is no such galaxy, or the result is of another batch or scene.
    """
    k = galaxy_number(batch, galaxy)
    if result.id != batch.id or tuple(column.name for column in result.columns) != scene.columns:
        raise InputError("the result does not belong to this batch and scene")
    tall, wide = batch.height[k], batch.width[k]
    scale = float(batch.pixel_scale[k])
    one = batch.select([k]).to("cpu")
    image, mask, sigma = (_cut(images, tall, wide) for images in (one.image, one.mask, one.sigma))
    components = _components(one, scene, result, k) if result.status[k].fitted else ()
    entries = entries_of(result, k)
    model = np.sum([component.image for component in components], axis=0) if components else None
    width = None if one.psf is None else psf_fwhm(one.psf[0].numpy(), one.psf_oversampling)
    return GalaxyView(
        name=batch.id[k],
        image=image.astype(np.float64),
        mask=mask,
        sigma=sigma.astype(np.float64),
        components=components,
        zero_point=float(batch.zero_point[k]),
        pixel_scale=scale,
        shape=main_shape(components, (tall, wide)),
        model=model,
        psf_width=width,
        lines=tuple(component_line(entries, component.name, scale) for component in components),
        summary=goodness(float(result.reduced_chi2[k]), int(result.n_pixels[k])) if components else "",
        status=result.describe(k) if components else result.message[k] or result.describe(k),
    )


def is_sky(profile: Profile) -> bool:
    """Whether a component is background rather than light of a source."""
    return isinstance(profile, ImageProfile) and not profile.convolved


def _components(one: Batch, scene: Scene, result: Result, k: int) -> tuple[Component, ...]:
    tall, wide = one.height[0], one.width[0]
    images = scene.component_images(one, result.values[k : k + 1])
    values = {entry.name: entry.value for entry in entries_of(result, k)}
    return tuple(
        Component(
            name, _cut(images[name], tall, wide).astype(np.float64), is_sky(profile), shape_from(values, name)
        )
        for name, profile in scene.components.items()
    )


def _cut(images: Tensor, tall: int, wide: int) -> np.ndarray:
    return images[0, :tall, :wide].numpy()
