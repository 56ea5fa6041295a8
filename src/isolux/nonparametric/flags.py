"""What there is to remark on a galaxy's non-parametric shape; the text of a flag is its message."""

from __future__ import annotations

from enum import IntFlag


class ShapeFlag(IntFlag):
    """Remarks on the shape of a galaxy; several may hold at once."""

    INVALID = 1
    NO_LIGHT = 2
    EDGE = 4
    TOO_MASKED = 8
    CENTRE_MASKED = 16
    NO_PETROSIAN = 32
    LOW_SIGNAL = 64
    CENTRE_MOVED = 128
    SMALL = 256
    NEGATIVE_ASYMMETRY = 512
    SPLIT = 1024
    NO_SKY = 2048
    NO_SEGMENT = 4096

    @property
    def messages(self) -> list[str]:
        """The sentences of the flags that are set."""
        return [SHAPE_MESSAGES[flag] for flag in ShapeFlag if flag in self]


SHAPE_MESSAGES: dict[ShapeFlag, str] = {
    ShapeFlag.INVALID: "the pixels, their noise, the centre or the ellipse cannot be used: nothing was measured",
    ShapeFlag.NO_LIGHT: "no light above the sky around the centre: nothing was measured",
    ShapeFlag.EDGE: "an aperture reaches beyond the stamp or the largest radius and ends there",
    ShapeFlag.TOO_MASKED: "over a tenth of the Petrosian aperture is masked",
    ShapeFlag.CENTRE_MASKED: "the pixel at the centre is masked",
    ShapeFlag.NO_PETROSIAN: "the brightness does not fall to a fifth of its mean: no Petrosian radius",
    ShapeFlag.LOW_SIGNAL: "signal-to-noise a pixel below 2.5: the shape is the noise's as much as the galaxy's",
    ShapeFlag.CENTRE_MOVED: "the asymmetry is least far from the centre that was given, which was kept",
    ShapeFlag.SMALL: "the Petrosian radius is below two FWHM of the PSF: the shape is that of the PSF",
    ShapeFlag.NEGATIVE_ASYMMETRY: "the sky's share is larger than the whole asymmetry",
    ShapeFlag.SPLIT: "the brightest pixels are in several pieces, of which one was taken for Gini and M20",
    ShapeFlag.NO_SKY: "too few sky pixels in the stamp: the sky's smoothness is that of independent noise",
    ShapeFlag.NO_SEGMENT: "no pixels, or all, are as bright as at the Petrosian radius: no Gini and M20",
}
