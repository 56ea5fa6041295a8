"""The error to expect of an undersampled PSF, against images that GalSim draws from the PSF itself."""

import warnings

import galsim
import numpy as np
import pytest
import torch
from astropy.io import fits

from isolux import (
    Batch,
    FitWarning,
    Flag,
    PointSource,
    RunOptions,
    Scene,
    Sersic,
    StampSource,
    measure,
    read_stamps,
)
from isolux.io.catalogue import read_catalogue
from isolux.undersampling import sampling_error, sentence
from stubs import first_use, gaussian_psf

SIDE, MIDDLE = 41, 20
WIDTHS = (1.2, 1.5, 1.8, 2.0, 2.5)
FORMS = {
    "gaussian": lambda fwhm: galsim.Gaussian(fwhm=fwhm),
    "moffat": lambda fwhm: galsim.Moffat(beta=3.5, fwhm=fwhm),
    "elliptical": lambda fwhm: galsim.Gaussian(fwhm=fwhm).shear(g1=0.1, g2=0.05),
    "airy": lambda fwhm: galsim.Airy(lam_over_diam=fwhm / 1.03, obscuration=0.3),
    "off centre": lambda fwhm: galsim.Gaussian(fwhm=fwhm).shift(0.3, 0.2),
}
SHIFTS = ((0.5, 0.0), (0.5, 0.5), (0.25, 0.3))


def image(thing: galsim.GSObject, scale: float = 1.0) -> np.ndarray:
    return thing.drawImage(nx=SIDE, ny=SIDE, scale=scale, method="auto", dtype=float).array


def quiet_batch(*words, **keywords) -> Batch:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        return Batch.from_arrays(*words, **keywords)


def estimate(psf: np.ndarray, **keywords) -> float:
    return float(sampling_error(torch.as_tensor(psf / psf.sum())[None], **keywords)[0])


def drawn(scene: Scene, psf: np.ndarray, **values: float) -> np.ndarray:
    """Return the scene's image at pixel 20 plus a shift, with the sampled PSF."""
    blank = np.ones((1, SIDE, SIDE))
    batch = quiet_batch(blank, sigma=blank, psf=psf, dtype=torch.float64)
    row = [values[p.full_name.partition(".")[2]] for p in scene.parameters]
    return scene.component_images(batch, torch.tensor([row], dtype=torch.float64))["source"][0].numpy()


def true_error(psf: galsim.GSObject, galaxy: galsim.GSObject | None, scene: Scene, **values: float) -> float:
    """Return the largest error over the peak of the image that is drawn from the PSF's samples."""
    worst = 0.0
    for x, y in SHIFTS:
        truth = image((psf if galaxy is None else galsim.Convolve(galaxy, psf)).shift(x, y))
        ours = drawn(scene, image(psf), x=MIDDLE + x, y=MIDDLE + y, magnitude=0.0, **values)
        worst = max(worst, float(np.abs(ours - truth).max() / truth.max()))
    return worst


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fwhm", WIDTHS)
def test_galaxies_are_off_by_no_more(form, fwhm):
    psf = FORMS[form](fwhm)
    worst = 0.0
    for n, radius in ((1.0, 0.7), (4.0, 2.0)):
        shape = dict(
            effective_radius=radius, sersic_index=n, axis_ratio=1.0, position_angle=0.0, boxiness=0.0
        )
        galaxy = galsim.Sersic(n=n, half_light_radius=radius)
        worst = max(worst, true_error(psf, galaxy, Scene(source=Sersic()), **shape))
    expected = estimate(image(psf))
    edge = 0.035 if form == "airy" else 1e-3  # light beyond the PSF's image
    assert worst < 1.1 * expected + edge
    assert worst > 0.01 * expected


@pytest.mark.parametrize("fwhm", WIDTHS)
def test_point_sources_are_off_by_up_to_twice_as_much(fwhm):
    psf = galsim.Gaussian(fwhm=fwhm)
    assert true_error(psf, None, Scene(source=PointSource())) < 2 * estimate(image(psf)) + 1e-3


@pytest.mark.parametrize("form", FORMS)
def test_noise_in_the_psf_is_no_undersampling(form, rng):
    psf = image(FORMS[form](3.0))
    noisy = psf + rng.normal(0, psf.max() / 100, psf.shape)
    assert estimate(noisy) < 0.01
    coarse = image(FORMS[form](1.5))
    noisy = coarse + rng.normal(0, coarse.max() / 100, coarse.shape)
    assert estimate(noisy) == pytest.approx(estimate(coarse), rel=0.3)


def test_finer_samples_and_kinds_of_psf():
    psf = galsim.Gaussian(fwhm=1.5)
    assert estimate(image(psf)) > 0.1
    assert estimate(image(psf, scale=1 / 3), oversampling=3) < 1e-3
    bare = psf.drawImage(nx=SIDE, ny=SIDE, scale=1.0, method="no_pixel", dtype=float).array
    assert estimate(bare, includes_pixel=False) == pytest.approx(estimate(image(psf)), rel=0.05)
    assert estimate(np.ones((1, 1))) == 0.0


def test_a_batch_has_flags_and_one_warning():
    ones = np.ones((3, 16, 16))
    psf = [gaussian_psf(fwhm=fwhm) for fwhm in (3.0, 1.5, 1.2)]
    with pytest.warns(
        FitWarning, match=r"undersampled.*up to 50 % of their peak.*psf_oversampling"
    ) as caught:
        batch = Batch.from_arrays(ones, sigma=ones, psf=psf)
    assert len(caught) == 1
    assert [Flag.PSF_UNDERSAMPLED in flags for flags in batch.flags] == [False, True, True]
    assert batch.remark == str(caught[0].message)
    assert batch.select([0]).remark == ""
    shared = quiet_batch(ones, sigma=ones, psf=psf[1])
    assert all(Flag.PSF_UNDERSAMPLED in flags for flags in shared.flags)
    assert not any(
        Flag.PSF_UNDERSAMPLED in flags for flags in Batch.from_arrays(ones, sigma=ones, psf=psf[0]).flags
    )


def test_what_is_said_is_the_same_for_similar_errors():
    assert sentence(torch.tensor([0.0, 0.019])) == ""
    assert sentence(torch.tensor([])) == ""
    texts = {sentence(torch.tensor([error])) for error in (0.031, 0.04, 0.049)}
    assert len(texts) == 1
    assert "up to 5 %" in texts.pop()
    assert "up to 50 %" in sentence(torch.tensor([0.31]))


def test_a_run_says_it_once(tmp_path, rng):
    y, x = np.mgrid[:24, :24].astype(float)
    for k in range(4):
        disc = 50 * np.exp(-np.hypot(x - 11.5, (y - 11.5) / 0.7) / 3) + rng.normal(0, 0.5, x.shape)
        fits.writeto(tmp_path / f"g{k}_image.fits", disc)
    fits.writeto(tmp_path / "psf.fits", gaussian_psf(fwhm=1.5))
    source = StampSource(
        image=f"{tmp_path}/*_image.fits", sigma=0.5, psf=tmp_path / "psf.fits", pixel_scale=0.5
    )
    first_use()
    options = RunOptions(folder=tmp_path / "run", batch_size=2, workers=1, blocks=False, device="cpu")
    with pytest.warns(FitWarning, match="undersampled") as caught:
        run = measure(source, Scene(galaxy=Sersic(sersic_index=1.0)), options)
    assert len([w for w in caught if w.category is FitWarning]) == 1
    assert len(run.progress.remarks) == 1
    assert "psf_oversampling" in run.progress.remarks[0]
    assert all(Flag.PSF_UNDERSAMPLED & flags for flags in read_catalogue(options.path)["flags"])
    with pytest.warns(FitWarning, match="undersampled"):
        read_stamps(source)
