"""The flags that say that errors are doubtful: faint, broad, near a bound."""

import numpy as np
import pytest
import torch

import isolux
from isolux import Batch, Flag, FlatSky, Free, Scene, Sersic
from isolux.fate import errors_alone
from isolux.simulate import moffat_psf

SHAPE = {"effective_radius": 5.0, "sersic_index": 1.5, "axis_ratio": 0.6, "position_angle": 20.0}


def fitted(signal, scene=None, errors="covariance", amplitude="magnitude", **changed):
    """One galaxy at a matched-filter signal-to-noise, fitted with its sky."""
    truth = Scene(galaxy=Sersic(x=23.6, y=24.1, flux=1000.0, **(SHAPE | changed)))
    blank, psf = np.zeros((1, 48, 48)), moffat_psf(3.0, size=25)
    clean = truth.images(Batch.from_arrays(blank, sigma=blank + 1, psf=psf), truth.values(1)).numpy()
    sigma = np.sqrt((clean**2).sum()) / signal
    image = clean + sigma * np.random.default_rng(1).standard_normal(clean.shape)
    batch = Batch.from_arrays(image, sigma=np.full_like(image, sigma), psf=psf)
    scene = scene or Scene(galaxy=Sersic(**{amplitude: None}), sky=FlatSky())
    return isolux.fit(batch, scene, errors=errors, replicates=20)


def test_errors_alone_are_those_with_all_others_known():
    """For a covariance C the error of a number, the others held, is 1 / sqrt of the diagonal of its inverse."""
    root = torch.as_tensor(np.random.default_rng(0).normal(size=(3, 4, 6)))
    matrix = root @ root.transpose(1, 2)
    expected = torch.linalg.inv(matrix).diagonal(dim1=1, dim2=2).rsqrt()
    torch.testing.assert_close(errors_alone(matrix), expected)


def test_errors_alone_without_those_that_have_none():
    matrix = torch.diag(torch.tensor([4.0, torch.nan, 9.0], dtype=torch.float64))[None]
    matrix[0, 1], matrix[0, :, 1] = torch.nan, torch.nan
    found = errors_alone(matrix)[0]
    assert found[[0, 2]].tolist() == [2, 3]
    assert torch.isnan(found[1])


def test_a_singular_covariance_has_none():
    assert torch.isnan(errors_alone(torch.ones(1, 2, 2, dtype=torch.float64))).all()


@pytest.mark.parametrize("amplitude", ["magnitude", "flux", "intensity"])
def test_the_error_of_an_amplitude_alone_is_the_matched_filter(amplitude):
    """Noise changes the model, and with it the signal-to-noise of 60 that it was drawn with, by a few per cent."""
    result = fitted(60.0, amplitude=amplitude)
    names = [column.name for column in result.columns]
    free = [k for k, kind in enumerate(result.kinds) if kind == "free"]
    place = free.index(names.index(f"galaxy.{amplitude}"))
    error = float(errors_alone(result.covariance[:, free][:, :, free])[0, place])
    unit = 2.5 / np.log(10) if amplitude == "magnitude" else float(result[f"galaxy.{amplitude}"][0])
    assert unit / error == pytest.approx(60, rel=0.1)


@pytest.mark.parametrize("amplitude", ["magnitude", "flux"])
def test_bright_galaxies_are_not_doubted(amplitude):
    flags = fitted(150.0, amplitude=amplitude).flags[0]
    assert not flags & (Flag.LOW_SIGNAL | Flag.NOT_QUADRATIC)


@pytest.mark.parametrize("amplitude", ["magnitude", "flux"])
def test_faint_galaxies_are(amplitude):
    flags = fitted(12.0, amplitude=amplitude).flags[0]
    assert Flag.LOW_SIGNAL in flags
    assert Flag.NOT_QUADRATIC in flags


def test_nearly_round_galaxies_are():
    """Its position angle has no error that one number could give."""
    flags = fitted(60.0, axis_ratio=0.96).flags[0]
    assert Flag.NOT_QUADRATIC in flags
    assert Flag.LOW_SIGNAL not in flags


def test_galaxies_near_a_bound_are():
    """The same galaxy, with the bound some errors above its index, just above it, and below it."""
    index = float(fitted(100.0)["galaxy.sersic_index"][0])
    found = []
    for upper in (4 * index, 1.02 * index, 0.9 * index):
        scene = Scene(galaxy=Sersic(sersic_index=Free(1.0, upper=upper)), sky=FlatSky())
        found.append(fitted(100.0, scene).flags[0])
    assert Flag.NOT_QUADRATIC not in found[0]
    assert Flag.NOT_QUADRATIC in found[1]
    assert Flag.AT_BOUND not in found[1]
    assert Flag.NOT_QUADRATIC | Flag.AT_BOUND in found[2]


def test_broad_errors_are():
    """A compact galaxy of a high index: bright, and yet its index is known to a third only."""
    result = fitted(35.0, effective_radius=3.0, sersic_index=3.0)
    n = result["galaxy.sersic_index"], result.error("galaxy.sersic_index")
    assert float(n[1] / n[0]) > 0.3
    assert Flag.NOT_QUADRATIC in result.flags[0]
    assert Flag.LOW_SIGNAL not in result.flags[0]


def test_without_errors_nothing_is_said():
    assert not fitted(12.0, errors="none").flags[0] & (Flag.LOW_SIGNAL | Flag.NOT_QUADRATIC)


def test_the_bootstrap_says_it_too():
    assert Flag.NOT_QUADRATIC in fitted(12.0, errors="bootstrap").flags[0]
