"""Samples of real galaxies: where each survey's files are, and how they are to be read.

The images are not part of Isolux. The environment variable ISOLUX_REAL_DATA names the folder that holds them;
docs/real-galaxies.md says where each sample comes from.
"""

from collections.abc import Callable
from pathlib import Path

from astropy.io import fits

from isolux.io.source import StampSource


def sdss_galmoss(folder: Path, work: Path) -> StampSource:
    """Three SDSS g-band galaxies; their "masks" are segmentation maps."""
    top = folder / "sdss-galmoss"
    return StampSource(
        image=f"{top}/*_image.fits*",
        sigma=f"{top}/*_sigma.fits",
        psf=f"{top}/*_psf.fits",
        segmentation=f"{top}/*_mask.fits*",
        zero_point=22.5,
        pixel_scale=0.396,
    )


def sdss_pymorph(folder: Path, work: Path) -> StampSource:
    """Five SDSS r-band galaxies with the masks of their GALFIT runs."""
    top = folder / "sdss-pymorph"
    return StampSource(
        image=f"{top}/*_r_stamp.fits*",
        sigma=f"{top}/*_r_stamp_W.fits*",
        psf=f"{top}/*_r_psf.fits",
        mask=f"{top}/galfit/M_r_*_r_stamp.fits*",
        zero_point=25.256,
        pixel_scale=0.396,
    )


def gama_kids(folder: Path, work: Path) -> StampSource:
    """Five GAMA galaxies in KiDS r."""
    return _gama(folder / "gama-profit" / "kids", work, 0.2)


def gama_sdss(folder: Path, work: Path) -> StampSource:
    """The same five galaxies in SDSS r."""
    return _gama(folder / "gama-profit" / "sdss", work, 0.339)


def _gama(top: Path, work: Path, pixel_scale: float) -> StampSource:
    """Negative pixels of the PSFs are set to zero, as ProFit does before it fits."""
    work.mkdir(parents=True, exist_ok=True)
    for path in top.glob("*psfim.fits*"):
        name = path.name.split("psfim")[0]
        fits.writeto(work / f"{name}_psf.fits", fits.getdata(path).clip(min=0), overwrite=True)
    return StampSource(
        image=f"{top}/*fitim.fits*",
        sigma=f"{top}/*sigma.fits*",
        psf=f"{work}/*_psf.fits",
        mask=f"{top}/*mskim.fits*",
        segmentation=f"{top}/*segim.fits*",
        zero_point=0.0,
        pixel_scale=pixel_scale,
    )


def imfit_ic3478(folder: Path, work: Path) -> StampSource:
    """IC 3478 in SDSS r: the noise follows from the sky that was subtracted, gain and read noise."""
    return _imfit(folder / "imfit", "IC3478", "ic3478rss_256", 130.14)


def imfit_ngc3073(folder: Path, work: Path) -> StampSource:
    """NGC 3073 in SDSS r, another sky."""
    return _imfit(folder / "imfit", "NGC3073", "n3073rss_small", 154.33)


def _imfit(top: Path, name: str, stem: str, sky: float) -> StampSource:
    (mask,) = top.glob(f"{stem}_mask.fits*")
    return StampSource(
        image=str(top / f"{stem}.fits"),
        mask=str(mask),
        psf=str(top / "psf_moffat_51.fits"),
        id=[name],
        gain=4.725,
        sky=sky,
        read_noise=4.3,
        pixel_scale=0.396,
    )


def hsc_pysersic(folder: Path, work: Path) -> StampSource:
    """Two galaxies of Hyper Suprime-Cam, as NumPy files."""
    top = folder / "hsc-pysersic"
    return StampSource(
        image=f"{top}/*_im.npy",
        sigma=f"{top}/*_sig.npy",
        psf=f"{top}/*_psf.npy",
        mask=f"{top}/*_mask.npy",
        zero_point=27.0,
        pixel_scale=0.168,
    )


SAMPLES: dict[str, Callable[[Path, Path], StampSource]] = {
    "sdss-galmoss": sdss_galmoss,
    "sdss-pymorph": sdss_pymorph,
    "gama-kids": gama_kids,
    "gama-sdss": gama_sdss,
    "imfit-ic3478": imfit_ic3478,
    "imfit-ngc3073": imfit_ngc3073,
    "hsc-pysersic": hsc_pysersic,
}
"""Each takes the folder of the data and one to write PSFs to that have to be made first."""
