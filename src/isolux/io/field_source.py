"""Where the fields of a survey are: images by a pattern, a list, a folder or a table, and what belongs to each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from isolux.errors import InputError
from isolux.io.field_noise import KINDS
from isolux.io.patterns import Paths

PLANES = ("weight", "mask", "psf", "positions", "truth")
"""Files beside the image, one a field."""
READING = (
    *("zero_point", "gain", "saturation", "pixel_scale"),
    *("band", "wavelength", "hdu", "weight_type"),
)
"""What :func:`isolux.io.field_image.read_field` takes beside files."""


@dataclasses.dataclass(frozen=True)
class FieldSource:
    """Where the fields of a survey are.

    Parameters
    ----------
    fields : str, path or list of paths
        A pattern with ``*``; a list; a folder, whose FITS files are fields with ``<name>_weight.fits``,
        ``<name>_mask.fits`` and ``<name>.psf`` or ``<name>_psf.fits`` beside them; or a table (CSV, ECSV, FITS, Parquet
        or HDF5) with a row a field and columns named as the other parameters, ``image``, and ``field`` for names. Paths
        in a table are relative to it.
    weight, mask, psf, positions, truth : str, path or list of paths, optional
        A pattern whose ``*`` matches what that of ``fields`` does, a list as long, or one file for all. With a table,
        also the name of a column. ``positions`` is a table of sources to measure in place of those that are detected;
        ``truth`` a table of the true sources, as ``isolux simulate`` writes it.
    also : sequence of such
        The same fields in further bands, one entry a band. In a column ``also`` of a table, paths with ``;`` between.
    zero_point, gain, saturation, pixel_scale, band, wavelength, hdu, weight_type
        Of :func:`isolux.io.field_image.read_field`; with a table also the name of a column. ``band`` may be a list of
        names, of the first band and those in ``also``.
    psf_oversampling : int
        Samples a pixel of a PSF image.
    psf_includes_pixel : bool
        False if a PSF image is without the pixel's response.
    degrees : mapping, optional
        With ``also``: degrees of polynomials in wavelength, by the parameter's name.
    hold : bool
        With ``also``: keep the structure of the first band.
    folder : str
        What paths are relative to.

    Raises
    ------
    InputError
        If a value cannot be.
    """

    fields: Paths
    weight: Paths = None
    mask: Paths = None
    psf: Paths = None
    positions: Paths = None
    truth: Paths = None
    also: Sequence[Paths] = ()
    zero_point: float | str | None = None
    gain: float | str | None = None
    saturation: float | str | None = None
    pixel_scale: float | str | None = None
    band: str | Sequence[str] | None = None
    wavelength: float | str | None = None
    hdu: int | str | None = None
    weight_type: str | None = None
    psf_oversampling: int = 1
    psf_includes_pixel: bool = True
    degrees: Mapping[str, int] | None = None
    hold: bool = False
    folder: str = "."

    def __post_init__(self) -> None:
        if not self.fields:
            raise InputError("no fields: give a pattern such as 'fields/*.fits', a list, a folder or a table")
        if isinstance(self.also, str):
            object.__setattr__(self, "also", (self.also,))
        if self.psf_oversampling < 1:
            raise InputError("psf_oversampling", self.psf_oversampling, "1 or more")
        if isinstance(self.band, list | tuple) and len(self.band) != 1 + len(self.also):
            raise InputError(
                "band: names of the first band and of each in also", list(self.band), 1 + len(self.also)
            )
        if not self.also and (self.degrees or self.hold):
            raise InputError("degrees and hold are for fields in several bands: give also")

    @property
    def first_band(self) -> str | None:
        """Name of the band that sources are detected in, where it is given."""
        return self.band if self.band is None or isinstance(self.band, str) else self.band[0]

    @property
    def other_bands(self) -> tuple[str | None, ...]:
        """Names of the bands in ``also``, where they are given."""
        if self.band is None or isinstance(self.band, str):
            return (None,) * len(self.also)
        return tuple(self.band[1:])

    def described(self) -> dict[str, Any]:
        """Its values, plain, without what is as it would be anyway."""
        plain = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "folder"}
        normal = {f.name: f.default for f in dataclasses.fields(self)}
        return {name: _plain(value) for name, value in plain.items() if value != normal[name]}


def checked_weight_type(value: Any) -> Any:
    """A kind of weight map.

    Raises
    ------
    InputError
        For an unknown one.
    """
    if value is not None and value not in KINDS:
        raise InputError("weight_type", value, ", ".join(KINDS))
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
