"""The PSF as a multiplication in Fourier space, and what kind of PSF it is.

By default a PSF is *effective*: the image of a star, so that the pixel's response is in it already, sampled at
the image's pixels. A convolution with it must not average the model over pixels again; it must only see a
model without detail finer than the grid, which :mod:`isolux.core` provides. ``includes_pixel=False`` says that
the pixel is not in the PSF, and multiplies its transform by the pixel's sinc; ``oversampling=k`` says that the
PSF is sampled k times as finely as the image, and the model is then drawn on the finer grid.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from isolux.errors import InputError
from isolux.types import Images, Maps, Points, Rows, Tensor

FALL = (0.5, 0.75)
"""Between these shares of the highest frequency the fall of a PSF's transform is measured."""
NOTHING = 1e-3
"""A transform below this is too low to matter near the grid's highest frequency, or to be measured."""
SLOWEST, STEEPEST = 0.5, 10.0
"""A fall slower than the first is none, but a zero of the pixel's sinc; the second stands for one that is not known."""
STEEPER = 1.2
"""A PSF with the pixel in it falls this much faster at the grid's highest frequency than where that is measured."""
UNCONVOLVED_OVERSAMPLING = 5
"""Without a PSF the pixel alone blurs the model, which is drawn on a grid this many times finer."""


@dataclasses.dataclass(frozen=True)
class Canvas:
    """The grid that models are drawn on, with the PSF's transform.

    Attributes
    ----------
    height, width : int
        Size of the stamps in pixels.
    oversampling : int
        Grid points a pixel.
    margin : tuple of int
        Grid points (y, x) drawn beyond each edge of the stamp, from which the PSF scatters light inwards.
    size : tuple of int
        Grid points (y, x) in all: a size that transforms fast.
    transform : Tensor
        (galaxy or 1, size_y, size_x // 2 + 1): complex transform of the PSF, its centre at the origin.
    decay : tuple of float
        How fast the transforms fall with the frequencies (y, x): exp(-decay k), k in radians a grid spacing.
    """

    height: int
    width: int
    oversampling: int
    margin: tuple[int, int]
    size: tuple[int, int]
    transform: Tensor
    decay: tuple[float, float]

    @property
    def spacing(self) -> float:
        """Distance of grid points in pixels."""
        return 1.0 / self.oversampling

    @property
    def origin(self) -> tuple[float, float]:
        """Pixel coordinates (y, x) of the first grid point."""
        return -self.margin[0] * self.spacing, -self.margin[1] * self.spacing

    def axes(self) -> tuple[Tensor, Tensor]:
        """Pixel coordinates (size_y,) and (size_x,) of the grid's rows and columns."""
        real = self.transform.real
        y, x = (
            start + torch.arange(count, device=real.device, dtype=real.dtype) * self.spacing
            for start, count in zip(self.origin, self.size, strict=True)
        )
        return y, x

    def points(self) -> tuple[Points, Points]:
        """Pixel coordinates (1, point) x and y of all grid points."""
        y, x = self.axes()
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        return grid_x.reshape(1, -1), grid_y.reshape(1, -1)

    def to_stamp(self, spectra: Tensor) -> Maps:
        """The stamp's pixels (..., y, x) of the maps with these transforms (..., size_y, size_x // 2 + 1).

        Columns are transformed first, so that rows beyond the stamp need not be; only every k-th point of an
        oversampled grid is wanted, for which frequencies that are alike there are added beforehand.
        """
        k, (top, left) = self.oversampling, self.margin
        if k > 1:
            spectra = spectra.unflatten(-2, (k, -1)).sum(-3) / k
        columns = torch.fft.ifft(spectra, dim=-2)[..., top // k : top // k + self.height, :]
        maps = torch.fft.irfft(columns, n=self.size[1], dim=-1)
        return maps[..., left : left + (self.width - 1) * k + 1 : k]

    def phase(self, x: Tensor, y: Tensor) -> Tensor:
        """Transform (row, size_y, size_x // 2 + 1) of points at x and y (row, 1); zero for those beyond the canvas."""
        (top, left), real = self.origin, self.transform.real.dtype
        inside = (x > left - 0.5) & (x < left + self.size[1] * self.spacing - 0.5)
        inside &= (y > top - 0.5) & (y < top + self.size[0] * self.spacing - 0.5)
        ky, kx = (k * self.spacing for k in self.frequencies())
        down = _wave(((y - top) / self.spacing).to(real)[..., None], ky, self.decay[0])
        across = _wave(((x - left) / self.spacing).to(real)[..., None], kx, self.decay[1])
        return down * inside.to(real)[..., None] * across

    def psf_of(self, rows: Rows) -> Tensor:
        """Transform (row or 1, 1, size_y, size_x // 2 + 1) of each row's PSF."""
        return self.transform[:, None] if len(self.transform) == 1 else self.transform[rows, None]

    def finer(self, times: int) -> Canvas:
        """The same canvas with so many times more points a side; the PSF's transform is not to be used on it."""
        return dataclasses.replace(
            self,
            oversampling=self.oversampling * times,
            margin=(self.margin[0] * times, self.margin[1] * times),
            size=(self.size[0] * times, self.size[1] * times),
        )

    def coarser(self, spectra: Tensor, times: int) -> Tensor:
        """Transforms on this canvas of maps drawn on the finer one: the frequencies that it has, and no others."""
        if times == 1:
            return spectra
        tall, wide = self.size[0], self.size[1] // 2 + 1
        ends = spectra[..., : tall // 2, :wide], spectra[..., -(tall // 2) :, :wide]
        return torch.cat(ends, -2) / times**2

    def frequencies(self) -> tuple[Tensor, Tensor]:
        """Angular frequencies a pixel (size_y, 1) and (1, size_x // 2 + 1) of the transform."""
        real = self.transform.real
        ky = torch.fft.fftfreq(self.size[0], d=self.spacing, device=real.device, dtype=real.dtype)
        kx = torch.fft.rfftfreq(self.size[1], d=self.spacing, device=real.device, dtype=real.dtype)
        return 2 * torch.pi * ky[:, None], 2 * torch.pi * kx[None, :]


def make_canvas(
    psf: Images | None,
    height: int,
    width: int,
    like: Tensor,
    *,
    oversampling: int = 1,
    includes_pixel: bool = True,
) -> Canvas:
    """The grid and the PSF's transform for stamps of one size.

    Parameters
    ----------
    psf : Tensor or None
        (galaxy or 1, v, u) with odd v and u, each summing to one; None for pixel averaging alone.
    height, width : int
        Stamp size.
    like : Tensor
        Gives device and dtype.
    oversampling : int
        PSF samples a pixel.
    includes_pixel : bool
        Whether the PSF holds the pixel's response.

    Raises
    ------
    InputError
        For an even-sized PSF or an oversampling below 1.
    """
    alone = psf is None
    if psf is None:
        oversampling, includes_pixel = UNCONVOLVED_OVERSAMPLING, False
        side = oversampling + 2
        psf = like.new_zeros(1, side, side)
        psf[0, side // 2, side // 2] = 1.0
    if oversampling < 1:
        raise InputError("oversampling of the PSF", oversampling, "1, 2, 3, ...")
    tall, wide = psf.shape[1:]
    if tall % 2 == 0 or wide % 2 == 0:
        raise InputError("the PSF must have an odd number of rows and columns", (tall, wide))
    half = (tall // 2, wide // 2)
    margin = (
        math.ceil(half[0] / oversampling) * oversampling,
        math.ceil(half[1] / oversampling) * oversampling,
    )
    size = (
        oversampling * fast_size(height + (margin[0] + half[0]) / oversampling),
        oversampling * fast_size(width + (margin[1] + half[1]) / oversampling),
    )
    field = psf.new_zeros(len(psf), max(size[0], tall), max(size[1], wide))
    field[:, :tall, :wide] = psf
    field = torch.roll(field, (-half[0], -half[1]), dims=(1, 2))
    transform = torch.fft.rfft2(field.double(), s=size)
    if not includes_pixel:
        fy = torch.fft.fftfreq(size[0], d=1 / oversampling, dtype=torch.float64, device=psf.device)
        fx = torch.fft.rfftfreq(size[1], d=1 / oversampling, dtype=torch.float64, device=psf.device)
        transform = transform * torch.sinc(fy)[:, None] * torch.sinc(fx)[None, :]
    complex_dtype = torch.complex64 if like.dtype == torch.float32 else torch.complex128
    transform = transform.to(device=like.device, dtype=complex_dtype)
    steeper = STEEPER if includes_pixel else 1.0
    down, across = (STEEPEST, STEEPEST) if alone else _decay(transform)
    decay = (steeper * down, steeper * across)
    return Canvas(height, width, oversampling, margin, size, transform, decay)


def _decay(transform: Tensor) -> tuple[float, float]:
    """How fast the transforms of PSFs fall along ky and kx, from a half to three quarters of the grid's highest."""
    half = transform.shape[1] // 2, transform.shape[2] - 1
    near, far = (
        torch.stack([transform[:, round(half[0] * part), 0], transform[:, 0, round(half[1] * part)]]).abs()
        for part in FALL
    )
    fall = torch.log(near.clamp_min(NOTHING) / far.clamp_min(NOTHING)) / (torch.pi * (FALL[1] - FALL[0]))
    measured = (far > NOTHING) & (fall > SLOWEST)
    down, across = torch.where(measured, fall, STEEPEST).median(1).values.tolist()
    return round(down, 1), round(across, 1)


def _wave(place: Tensor, k: Tensor, decay: float) -> Tensor:
    """Phases of points at a place in grid spacings, of k and of the frequency beyond pi that looks like it."""
    weight, turn = share(k, decay), 2 * torch.pi * torch.sign(k)
    direct = torch.polar(weight.expand_as(k * place), -k * place)
    return direct + torch.polar((1 - weight).expand_as(k * place), (turn - k) * place)


def share(k: Tensor, decay: float) -> Tensor:
    """How much of the transform of a sampled PSF at k (radians a spacing) is its own, not that of 2 pi - k.

    Samples cannot tell the two apart; a transform that falls as exp(-decay k) has 1 / (1 + exp(-2 decay (pi - k))).
    """
    return torch.sigmoid(2 * decay * (torch.pi - k.abs()))


def fast_size(length: float) -> int:
    """The next length whose only prime factors are 2, 3, 5 and 7, and which is even: fast to transform."""
    candidate = 2 * math.ceil(length / 2)
    while True:
        rest = candidate
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
        candidate += 2
