"""The codes of the benchmark of isophotes: each takes stamps and gives profiles in pixels and image units.

Settings, each code at its best on a few mocks of another seed:

- isolux: the defaults, with the mask that all are given; it looks for further neighbours itself.
- photutils: sky from sigma-clipped pixels outside of sources; centre, ellipticity and angle to begin with from the
  segment in the middle; steps of 10 %, mean of sectors beyond the radius where one ellipse is too noisy
  (``integrmode="mean"``), three clippings at three sigma; other starting radii where the first finds nothing.
- AutoProf: given the PSF's width; sky, centre and isophotes its own; mean with clipping in bands of ten per cent.
"""

import dataclasses
import json
import subprocess
import time
import warnings
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


@dataclasses.dataclass
class Stamp:
    """What each code is given."""

    name: str
    image: np.ndarray
    sigma: np.ndarray
    mask: np.ndarray
    pixel_scale: float
    zero_point: float
    psf_fwhm: float


@dataclasses.dataclass
class Profile:
    """What each code gives: arrays by radius; empty where it fails."""

    x: float
    y: float
    sma: np.ndarray
    intensity: np.ndarray
    error: np.ndarray
    ellipticity: np.ndarray
    position_angle: np.ndarray
    seconds: float
    fault: str = ""


def failed(why: str, seconds: float) -> Profile:
    """No profile."""
    none = np.zeros(0)
    return Profile(np.nan, np.nan, none, none, none, none, none, seconds, why)


def isolux(stamps: list[Stamp], **how) -> list[Profile]:
    """All stamps of one size in one batch."""
    import torch

    from isolux import Batch
    from isolux.isophotes import IsophoteOptions, measure_isophotes

    torch.set_num_threads(1)
    batch = Batch.from_arrays(
        [s.image for s in stamps],
        sigma=[s.sigma for s in stamps],
        mask=[s.mask for s in stamps],
        zero_point=[s.zero_point for s in stamps],
        pixel_scale=[s.pixel_scale for s in stamps],
    )
    options = IsophoteOptions(**how)
    measure_isophotes(batch.select(range(min(2, len(batch)))), options)
    begin = time.process_time()
    found = measure_isophotes(batch, options)
    seconds = (time.process_time() - begin) / len(stamps)
    made = []
    for k in range(len(stamps)):
        count = int(found.length[k])
        if count == 0:
            made.append(failed("; ".join(found.flags[k].messages), seconds))
            continue
        parts = (found.sma, found.intensity, found.error, found.ellipticity, found.position_angle)
        arrays = (part[k, :count].numpy() for part in parts)
        made.append(Profile(float(found.x[k]), float(found.y[k]), *arrays, seconds))
    return made


def photutils(stamp: Stamp) -> Profile:
    """One stamp."""
    begin = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _photutils(stamp)
    except Exception as error:
        return failed(f"{type(error).__name__}: {error}", time.process_time() - begin)
    if found is None:
        return failed("no meaningful fit", time.process_time() - begin)
    return dataclasses.replace(found, seconds=time.process_time() - begin)


def _photutils(stamp: Stamp) -> Profile | None:
    from astropy.convolution import Gaussian2DKernel, convolve
    from astropy.stats import SigmaClip, sigma_clipped_stats
    from photutils.isophote import Ellipse, EllipseGeometry
    from photutils.segmentation import SourceCatalog, detect_sources
    from photutils.utils import circular_footprint

    clip = SigmaClip(3.0, maxiters=10)
    _, sky, scatter = sigma_clipped_stats(stamp.image, mask=stamp.mask)
    smooth = convolve(stamp.image - sky, Gaussian2DKernel(1.5), normalize_kernel=True)
    segments = detect_sources(smooth, 0.7 * scatter, n_pixels=8, mask=stamp.mask)
    if segments is None:
        return None
    sources = segments.make_source_mask(footprint=circular_footprint(9))
    free = ~(sources | stamp.mask)
    if free.sum() > 200:
        sky = np.median(clip(stamp.image[free], masked=False))
    light = np.ma.masked_array(stamp.image - sky, stamp.mask)
    catalogue = SourceCatalog(stamp.image - sky, segments, mask=stamp.mask)
    middle = (np.array(stamp.image.shape) - 1) / 2
    away = np.hypot(catalogue.x_centroid - middle[1], catalogue.y_centroid - middle[0])
    source = catalogue[int(np.nanargmin(away))]
    widest = 0.5 * min(stamp.image.shape)
    e, angle = float(source.ellipticity.value), float(source.orientation.to_value("rad"))
    size = float(source.semimajor_axis.value)
    for first in (size, 2 * size, 0.5 * size, 10.0, 5.0):
        geometry = EllipseGeometry(
            float(source.x_centroid), float(source.y_centroid), first, min(max(e, 0.05), 0.9), angle
        )
        fitted = Ellipse(light, geometry)
        rings = fitted.fit_image(step=0.1, integrmode="mean", sclip=3.0, nclip=3, maxsma=widest, minsma=0.5)
        if len(rings) > 3:
            break
    else:
        return None
    position_angle = (np.degrees(rings.pa) - 90 + 90) % 180 - 90
    near = rings[min(5, len(rings) - 1)]
    return Profile(
        float(near.x0), float(near.y0), rings.sma, rings.intens, rings.int_err, rings.eps, position_angle, 0.0
    )


def autoprof(stamps: list[Stamp], python: str, folder: Path) -> dict[str, Profile]:
    """All stamps, by the interpreter of an environment that has AutoProf; goes on with what is in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for stamp in stamps:
        about = {k: getattr(stamp, k) for k in ("pixel_scale", "zero_point", "psf_fwhm")}
        np.save(folder / f"{stamp.name}.npy", stamp.image)
        np.save(folder / f"{stamp.name}-mask.npy", stamp.mask.astype(float))
        (folder / f"{stamp.name}.json").write_text(json.dumps(about))
    results = [folder / f"{stamp.name}.result.json" for stamp in stamps]
    if not all(path.exists() for path in results):
        subprocess.run([python, str(HERE / "isophotes_autoprof.py"), str(folder)], check=True)
    return {
        stamp.name: read_autoprof(folder / f"{stamp.name}.result.json", stamp.pixel_scale) for stamp in stamps
    }


def read_autoprof(path: Path, scale: float) -> Profile:
    """What AutoProf made of one stamp; brightness from a square arcsec to a pixel."""
    found = json.loads(path.read_text())
    if "fault" in found:
        return failed(found["fault"], found["seconds"])
    r, level, error, e, angle = (np.array(found[key]) for key in ("R", "I", "I_e", "ellip", "pa"))
    return Profile(
        found["x"], found["y"], r / scale, level * scale**2, error * scale**2, e, angle, found["seconds"]
    )
