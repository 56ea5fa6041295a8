"""The PSF as a multiplication in Fourier space, and what kind of PSF it is.

By default a PSF is *effective*: the image of a star, so that the pixel's response is in it already, sampled at
the image's pixels. A convolution with it must not average the model over pixels again; it must only see a
model without detail finer than the grid, which :mod:`isolux.core` provides. ``includes_pixel=False`` says that
the pixel is not in the PSF, and multiplies its transform by the pixel's sinc; ``oversampling=k`` says that the
PSF is sampled k times as finely as the image, and the model is then drawn on the finer grid.
"""

import dataclasses

import torch

from isolux.errors import InputError
from isolux.types import Images, Maps, Points, Rows, Tensor

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
    """

    height: int
    width: int
    oversampling: int
    margin: tuple[int, int]
    size: tuple[int, int]
    transform: Tensor

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

    def from_fourier(self, spectra: Tensor, rows: Rows) -> Maps:
        """Maps (row, map, y, x) on the stamp, from the transforms of sharp ones: blurred by each row's PSF and cut."""
        blurred = torch.fft.irfft2(spectra * self._transform(rows), s=self.size)
        return self.cut(blurred)

    def cut(self, maps: Maps) -> Maps:
        """The stamp's pixels (..., y, x) of maps on the grid."""
        k, (top, left) = self.oversampling, self.margin
        return maps[
            ..., top : top + (self.height - 1) * k + 1 : k, left : left + (self.width - 1) * k + 1 : k
        ]

    def frequencies(self) -> tuple[Tensor, Tensor]:
        """Angular frequencies a pixel (size_y, 1) and (1, size_x // 2 + 1) of the transform."""
        real = self.transform.real
        ky = torch.fft.fftfreq(self.size[0], d=self.spacing, device=real.device, dtype=real.dtype)
        kx = torch.fft.rfftfreq(self.size[1], d=self.spacing, device=real.device, dtype=real.dtype)
        return 2 * torch.pi * ky[:, None], 2 * torch.pi * kx[None, :]

    def _transform(self, rows: Rows) -> Tensor:
        return self.transform[:, None] if len(self.transform) == 1 else self.transform[rows, None]


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
    margin = (tall // 2, wide // 2)
    drawn = ((height - 1) * oversampling + 1, (width - 1) * oversampling + 1)
    size = (fast_size(drawn[0] + 2 * margin[0]), fast_size(drawn[1] + 2 * margin[1]))
    field = psf.new_zeros(len(psf), max(size[0], tall), max(size[1], wide))
    field[:, :tall, :wide] = psf
    field = torch.roll(field, (-margin[0], -margin[1]), dims=(1, 2))
    transform = torch.fft.rfft2(field.double(), s=size)
    if not includes_pixel:
        fy = torch.fft.fftfreq(size[0], d=1 / oversampling, dtype=torch.float64, device=psf.device)
        fx = torch.fft.rfftfreq(size[1], d=1 / oversampling, dtype=torch.float64, device=psf.device)
        transform = transform * torch.sinc(fy)[:, None] * torch.sinc(fx)[None, :]
    complex_dtype = torch.complex64 if like.dtype == torch.float32 else torch.complex128
    return Canvas(
        height, width, oversampling, margin, size, transform.to(device=like.device, dtype=complex_dtype)
    )


def fast_size(length: int) -> int:
    """The next length whose only prime factors are 2, 3, 5 and 7, and which is even: fast to transform."""
    candidate = length + length % 2
    while True:
        rest = candidate
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return candidate
        candidate += 2
