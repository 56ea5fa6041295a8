"""Mock fields for the benchmark: drawn by GalSim, kept in files so that a run can be repeated."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from isolux.field.image import FieldImage
from isolux.mock import field
from isolux.mock.galsim_twin import twin_image
from isolux.mock.mock_field import MockField
from isolux.mock.presets import survey_named
from isolux.mock.truth import of_band
from isolux.psf_model import PsfModel

Truth = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Mock:
    """One band of a mock field, with its truth under plain column names.

    Attributes
    ----------
    folder : Path
        Where it is, and where what is found goes.
    name : str
        Of the survey.
    image, psf : FieldImage, PsfModel
        What a code is given.
    truth : dict
        Columns of :mod:`isolux.mock.truth`, those of the band without its name.
    depth : float
        Magnitude of a point source at a signal-to-noise of 5.
    full : float
        Image units at which a pixel is full.
    drawn_by : str
        GalSim or Isolux.
    """

    folder: Path
    name: str
    image: FieldImage
    psf: PsfModel
    truth: Truth
    depth: float
    full: float
    drawn_by: str

    @property
    def fwhm(self) -> float:
        """Width of the PSF in pixels."""
        return float(self.psf.fwhm)

    @property
    def galaxies(self) -> np.ndarray:
        """Which sources are galaxies."""
        return np.asarray(self.truth["kind"] != "star")


def kept(
    folder: Path,
    survey: str,
    *,
    seed: int,
    reuse: bool,
    galsim: bool = True,
    change: Callable[[MockField], Truth] | None = None,
    **settings: Any,
) -> Mock:
    """A field from its file where it is there and may be used again, else drawn anew and written.

    Parameters
    ----------
    folder : Path
        Of this field.
    survey : str
        Name of a preset; its first band is drawn.
    seed : int
        Of the random numbers.
    reuse : bool
        Whether a file that is there is taken.
    galsim : bool
        Whether GalSim draws the sources, or Isolux.
    change : callable, optional
        Makes another truth of a field, which is then drawn.
    **settings
        Of :func:`isolux.mock.field`.
    """
    path = folder / "field.npz"
    if reuse and path.exists():
        return load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    band = survey_named(survey).chosen()[0].name
    made = field(survey, seed=seed, **settings)
    if change is not None:
        made = field(survey, seed=seed, truth=change(made), **settings)
    if galsim:
        made = made.observed(band, twin_image(made, band))
    save(path, survey, made, band, "GalSim" if galsim else "Isolux")
    return load(folder)


def save(path: Path, survey: str, made: MockField, band: str, drawn_by: str) -> None:
    """Write what the benchmark needs of a field."""
    image, psf = made.bands[band], made.psf[band]
    plain = {
        "survey": survey,
        "drawn_by": drawn_by,
        "depth": made.band(band).depth,
        "image": {k: getattr(image, k) for k in ("zero_point", "pixel_scale", "gain", "band", "wavelength")},
        "psf": {k: getattr(psf, k) for k in ("degree", "offset", "scale", "oversampling", "includes_pixel")},
    }
    truth = {f"truth.{name}": values for name, values in of_band(made.truth, band).items()}
    arrays = {"data": image.data, "mask": image.mask, "saturated": image.saturated, "basis": psf.basis}
    np.savez(path, about=json.dumps(plain), sigma=made.sigma[band], full=made.full[band], **arrays, **truth)


def load(folder: Path) -> Mock:
    """A field that was kept."""
    with np.load(folder / "field.npz") as f:
        about: Mapping[str, Any] = json.loads(str(f["about"]))
        full = float(f["full"])
        data = np.where(f["saturated"], np.float32(full), f["data"])
        image = FieldImage.from_arrays(
            data,
            sigma=float(f["sigma"]),
            mask=f["mask"] & ~f["saturated"],
            saturation=full,
            **about["image"],
        )
        psf = PsfModel(
            f["basis"], **{k: tuple(v) if isinstance(v, list) else v for k, v in about["psf"].items()}
        )
        truth = {name.removeprefix("truth."): f[name] for name in f.files if name.startswith("truth.")}
    return Mock(folder, about["survey"], image, psf, truth, about["depth"], full, about["drawn_by"])
