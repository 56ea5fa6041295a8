"""A batch: stamps of galaxies with all that is needed to fit them, checked once.

Faults of one galaxy never raise: the galaxy is kept, its status says what is wrong, its pixels are masked, and
nothing of the others changes. Only a misuse of the call itself raises :class:`InputError`.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from isolux.errors import FitWarning, InputError
from isolux.noise import check_correlation
from isolux.stamp import Checked, Stamp, check
from isolux.status import Flag, Status
from isolux.types import Images, PerGalaxy, Tensor
from isolux.undersampling import sampling_error, sentence, undersampled


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """Galaxies of one stamp size.

    Attributes
    ----------
    id : tuple of str
        One a galaxy.
    image, sigma : Tensor
        (galaxy, y, x): flux a pixel and its standard deviation; zero and one where masked.
    mask : Tensor
        (galaxy, y, x) of bool: True is bad.
    psf : Tensor or None
        (galaxy or 1, v, u), each of odd size and summing to one; None where no galaxy has one.
    noise_correlation : Tensor or None
        (galaxy or 1, v, u): correlation of the noise of pixels so far apart, one in the middle of an odd size;
        None where pixels are independent.
    zero_point, pixel_scale : Tensor
        (galaxy,): AB magnitude of one image unit; arcsec a pixel.
    gain, sky, read_noise : Tensor
        (galaxy,): electrons per image unit (NaN where nobody said), sky that was subtracted in image units a
        pixel, read noise in electrons.
    height, width : tuple of int
        Size of each stamp before padding.
    status : tuple of Status
        ``RUNNING`` for galaxies that can be fitted, else what is wrong.
    flags : tuple of Flag
        Remarks on the input.
    message : tuple of str
        What is wrong, in a sentence with the file and the value; empty where nothing is.
    wcs : tuple
        An astropy WCS or None a galaxy.
    psf_oversampling : int
        PSF samples a pixel.
    psf_includes_pixel : bool
        Whether the PSF holds the pixel's response (an image of a star does).
    """

    id: tuple[str, ...]
    image: Images
    sigma: Images
    mask: Tensor
    psf: Images | None
    zero_point: PerGalaxy
    pixel_scale: PerGalaxy
    gain: PerGalaxy
    sky: PerGalaxy
    read_noise: PerGalaxy
    height: tuple[int, ...]
    width: tuple[int, ...]
    status: tuple[Status, ...]
    flags: tuple[Flag, ...]
    message: tuple[str, ...]
    wcs: tuple[Any, ...]
    psf_oversampling: int = 1
    psf_includes_pixel: bool = True
    noise_correlation: Images | None = None

    def __len__(self) -> int:
        return len(self.id)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the stamps."""
        return self.image.shape[1], self.image.shape[2]

    @property
    def usable(self) -> Tensor:
        """(galaxy,) of bool: which galaxies can be fitted."""
        return torch.tensor([status is Status.RUNNING for status in self.status], device=self.image.device)

    @property
    def remark(self) -> str:
        """What is to be said of its PSFs as a whole; empty where there is nothing."""
        if self.psf is None or not any(Flag.PSF_UNDERSAMPLED in flags for flags in self.flags):
            return ""
        return sentence(sampling_error(self.psf, self.psf_oversampling, self.psf_includes_pixel))

    @classmethod
    def from_arrays(
        cls,
        image: Any,
        *,
        sigma: Any = None,
        variance: Any = None,
        ivar: Any = None,
        gain: Any = None,
        sky: Any = 0.0,
        read_noise: Any = 0.0,
        mask: Any = None,
        psf: Any = None,
        noise_correlation: Any = None,
        id: Sequence[str] | None = None,
        zero_point: Any = 0.0,
        pixel_scale: Any = 1.0,
        wcs: Any = None,
        psf_oversampling: int = 1,
        psf_includes_pixel: bool = True,
        dtype: torch.dtype = torch.float32,
    ) -> Batch:
        """A batch from arrays in memory.

        Parameters
        ----------
        image : array, list of arrays, or NDData or list of NDData
            (galaxy, y, x), one (y, x) image, or a list of (y, x) images of any sizes. From ``NDData`` and
            ``CCDData`` the uncertainty, mask and WCS are taken too.
        sigma, variance, ivar : array or list of arrays, optional
            One of them: standard deviation, variance or inverse variance of each pixel; without them ``gain``.
        gain : float or array, optional
            Electrons per image unit: sigma, where it is not given, is then built as
            sqrt((image + sky) / gain + (read_noise / gain)^2), never below the sky's own noise; and where that
            is none at all, it is one electron. The Cash loss needs it in any case.
        sky : float or array
            Sky level that was subtracted from the image, in image units (with ``gain``).
        read_noise : float or array
            Electrons (with ``gain``).
        mask : array or list of arrays, optional
            True or non-zero is bad.
        psf : array or list of arrays, optional
            One (v, u) for all galaxies or one each. Odd-sized; normalised here.
        noise_correlation : array or list of arrays, optional
            One (v, u) for all galaxies or one each: how the noise of pixels is correlated, see
            :mod:`isolux.noise`. Errors are then corrected for it.
        id : sequence of str, optional
            Unique names; numbers from 0 where left out.
        zero_point, pixel_scale : float or array
            AB magnitude of one image unit; arcsec a pixel.
        wcs : list, optional
            An astropy WCS a galaxy.
        psf_oversampling : int
            PSF samples a pixel.
        psf_includes_pixel : bool
            False if the PSF is the optics' and atmosphere's alone, without the pixel.
        dtype : torch.dtype
            float32 or float64.

        Returns
        -------
        Batch

        Raises
        ------
        InputError
            If the call cannot be meant: no galaxies, unequal numbers of images and sigmas, repeated ids, more
            than one kind of uncertainty, a noise correlation for all that cannot be one. What is wrong with one
            galaxy becomes its status instead.

        Warns
        -----
        FitWarning
            If a PSF is undersampled, with the size of the error to expect.
        """
        images, found = _unpack(image)
        shared = noise_correlation is not None and not isinstance(noise_correlation, list | tuple)
        if shared and np.ndim(noise_correlation) != 3:
            check_correlation(noise_correlation)
        given = {"sigma": sigma, "variance": variance, "ivar": ivar}
        noise = [name for name, value in given.items() if value is not None]
        if len(noise) > 1:
            raise InputError("give one of sigma, variance and ivar", noise)
        count = len(images)
        names = [str(name) for name in (range(count) if id is None else id)]
        columns: dict[str, list[Any]] = {
            name: _per_galaxy(name, value, count, scalar)
            for name, value, scalar in [
                *((name, value, False) for name, value in given.items()),
                ("mask", mask, False),
                ("psf", _one_psf(psf, count), False),
                ("noise_correlation", _one_psf(noise_correlation, count), False),
                ("gain", gain, True),
                ("sky", sky, True),
                ("read_noise", read_noise, True),
                ("zero_point", zero_point, True),
                ("pixel_scale", pixel_scale, True),
                ("wcs", wcs, False),
            ]
        }
        for name, values in found.items():
            columns[name] = [
                old if new is None else new for old, new in zip(columns[name], values, strict=True)
            ]
        if len(names) != count:
            raise InputError(f"{count} images but {len(names)} ids")
        stamps = [
            Stamp(id=names[k], image=images[k], **{name: values[k] for name, values in columns.items()})
            for k in range(count)
        ]
        batch = cls.from_stamps(
            stamps, psf_oversampling=psf_oversampling, psf_includes_pixel=psf_includes_pixel, dtype=dtype
        )
        if batch.remark:
            warnings.warn(batch.remark, FitWarning, stacklevel=2)
        return batch

    @classmethod
    def from_stamps(
        cls,
        stamps: Sequence[Stamp],
        *,
        psf_oversampling: int = 1,
        psf_includes_pixel: bool = True,
        dtype: torch.dtype = torch.float32,
        size: tuple[int, int] | None = None,
    ) -> Batch:
        """A batch from single stamps, checked one by one; smaller ones are padded with masked pixels.

        Parameters
        ----------
        stamps : sequence of Stamp
            At least one.
        size : (int, int), optional
            Rows and columns of the batch; the largest usable stamp's by default.

        Raises
        ------
        InputError
            If there is no stamp, or two have the same id.
        """
        if not stamps:
            raise InputError("a batch needs at least one galaxy")
        _refuse_repeated([stamp.id for stamp in stamps])
        checked = [check(stamp) for stamp in stamps]
        good = [c for c in checked if c.status is Status.RUNNING]
        tall, wide = size or (
            max((c.image.shape[0] for c in good), default=1),
            max((c.image.shape[1] for c in good), default=1),
        )
        padded = [c.padded(tall, wide) for c in checked]
        shapes = [c.psf.shape for c in good if c.psf is not None]
        psf = None
        if shapes:
            side = max(s[0] for s in shapes), max(s[1] for s in shapes)
            kernels = np.stack([_centred(c.psf, side) for c in padded])
            first = good[0].psf
            same = first is not None and all(c.psf is not None and np.array_equal(c.psf, first) for c in good)
            psf = torch.as_tensor(kernels[checked.index(good[0])][None] if same else kernels).to(dtype)
        error = None if psf is None else sampling_error(psf, psf_oversampling, psf_includes_pixel)
        return cls(
            id=tuple(stamp.id for stamp in stamps),
            image=torch.as_tensor(np.stack([c.image for c in padded])).to(dtype),
            sigma=torch.as_tensor(np.stack([c.sigma for c in padded])).to(dtype),
            mask=torch.as_tensor(np.stack([c.mask for c in padded])),
            psf=psf,
            zero_point=torch.tensor([float(stamp.zero_point) for stamp in stamps], dtype=torch.float64),
            pixel_scale=torch.tensor([float(stamp.pixel_scale) for stamp in stamps], dtype=torch.float64),
            gain=torch.tensor([math.nan if s.gain is None else s.gain for s in stamps], dtype=torch.float64),
            sky=torch.tensor([float(stamp.sky) for stamp in stamps], dtype=torch.float64),
            read_noise=torch.tensor([float(stamp.read_noise) for stamp in stamps], dtype=torch.float64),
            height=tuple(c.image.shape[0] for c in checked),
            width=tuple(c.image.shape[1] for c in checked),
            status=tuple(c.status for c in padded),
            flags=_with_psf_flag(padded, error),
            message=tuple(c.message for c in padded),
            wcs=tuple(stamp.wcs for stamp in stamps),
            psf_oversampling=psf_oversampling,
            psf_includes_pixel=psf_includes_pixel,
            noise_correlation=_correlations(padded, dtype),
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Batch:
        """The same batch on another device or in another precision."""

        def move(tensor: Tensor) -> Tensor:
            floating = tensor.is_floating_point() and tensor.ndim == 3
            return tensor.to(device=device, dtype=dtype if floating else None)

        return self._map(move)

    def select(self, index: Sequence[int]) -> Batch:
        """The galaxies with these numbers, in this order."""
        chosen = list(index)
        picked = self._map(lambda tensor: tensor if len(tensor) != len(self) else tensor[chosen])
        lists: dict[str, Any] = {
            field: tuple(getattr(self, field)[k] for k in chosen)
            for field in ("id", "height", "width", "status", "flags", "message", "wcs")
        }
        return dataclasses.replace(picked, **lists)

    def blanked(self, what: str) -> Batch:
        """The same galaxies without a good pixel, failed, and why."""
        return dataclasses.replace(
            self,
            image=torch.zeros_like(self.image),
            sigma=torch.ones_like(self.sigma),
            mask=torch.ones_like(self.mask),
            psf=None,
            status=(Status.FAILED,) * len(self),
            message=(what,) * len(self),
        )

    def split(self, size: int) -> Iterator[Batch]:
        """Batches of at most ``size`` galaxies, in order."""
        for first in range(0, len(self), size):
            yield self.select(range(first, min(first + size, len(self))))

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        fields = ("image", "sigma", "mask", "zero_point", "pixel_scale", "gain", "sky", "read_noise")
        tensors: dict[str, Any] = {field: function(getattr(self, field)) for field in fields}
        for field in ("psf", "noise_correlation"):
            tensors[field] = None if getattr(self, field) is None else function(getattr(self, field))
        return dataclasses.replace(self, **tensors)


def _with_psf_flag(checked: Sequence[Checked], error: PerGalaxy | None) -> tuple[Flag, ...]:
    """The galaxies' flags with that of PSFs whose errors (galaxy or 1,) are worth telling of."""
    if error is None:
        return tuple(c.flags for c in checked)
    coarse = undersampled(error.expand(len(checked)))
    return tuple(
        c.flags | (Flag.PSF_UNDERSAMPLED if bad and c.psf is not None else Flag(0))
        for c, bad in zip(checked, coarse, strict=True)
    )


def _centred(psf: np.ndarray | None, side: tuple[int, int]) -> np.ndarray:
    if psf is None:
        psf = np.ones((1, 1))
    rows, columns = (side[0] - psf.shape[0]) // 2, (side[1] - psf.shape[1]) // 2
    return np.pad(psf, ((rows, rows), (columns, columns)))


def _correlations(stamps: Sequence[Checked], dtype: torch.dtype) -> Images | None:
    """Noise correlation functions (galaxy or 1, v, u); one in the middle alone where pixels are independent."""
    usable = [stamp.noise_correlation for stamp in stamps if stamp.status is Status.RUNNING]
    given = [kernel for kernel in usable if kernel is not None]
    if not given:
        return None
    if len(given) == len(usable) and all(np.array_equal(kernel, given[0]) for kernel in given):
        return torch.as_tensor(given[0][None]).to(dtype)
    side = max(kernel.shape[0] for kernel in given), max(kernel.shape[1] for kernel in given)
    return torch.as_tensor(np.stack([_centred(s.noise_correlation, side) for s in stamps])).to(dtype)


def _unpack(image: Any) -> tuple[list[Any], dict[str, list[Any]]]:
    """Images as a list, and what NDData objects among them bring along."""
    if not isinstance(image, list | tuple):
        image = [image] if _is_nddata(image) or np.ndim(image) == 2 else list(image)
    images, found = [], {name: [None] * len(image) for name in ("sigma", "variance", "ivar", "mask", "wcs")}
    kinds = {"std": "sigma", "var": "variance", "ivar": "ivar"}
    for k, item in enumerate(image):
        images.append(item.data if _is_nddata(item) else item)
        if _is_nddata(item):
            found["mask"][k], found["wcs"][k] = item.mask, item.wcs
            if item.uncertainty is not None:
                kind = item.uncertainty.uncertainty_type
                if kind not in kinds:
                    raise InputError("uncertainty of NDData", kind, ", ".join(kinds))
                found[kinds[kind]][k] = item.uncertainty.array
    return images, {name: values for name, values in found.items() if any(v is not None for v in values)}


def _is_nddata(item: object) -> bool:
    return type(item).__module__.startswith(("astropy.nddata", "ccdproc"))


def _one_psf(psf: Any, count: int) -> Any:
    """A single (v, u) PSF repeated for every galaxy."""
    if psf is None or isinstance(psf, list | tuple):
        return psf
    if np.ndim(psf) == 2:
        return [psf] * count
    return [psf[0]] * count if len(psf) == 1 else psf


def _per_galaxy(name: str, value: Any, count: int, scalar: bool) -> list[Any]:
    if value is None:
        return [None] * count
    if scalar and np.ndim(value) == 0:
        return [float(value)] * count
    if not scalar and not isinstance(value, list | tuple) and np.ndim(value) == 2 and count == 1:
        return [value]
    values = list(value)
    if len(values) != count:
        raise InputError(f"{count} images but {len(values)} values of {name}")
    return values


def _refuse_repeated(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError("an id is given to more than one galaxy", name)
        seen.add(name)
