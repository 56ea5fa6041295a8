"""Correlation functions of noise from files: by pattern, one for all, table, run file and command line."""

import numpy as np
import pytest
from astropy.io import fits

from isolux import Status, read_stamps
from isolux.cli.arguments import StampArguments
from isolux.io.runfile import read_run_file
from stubs import drizzled

OPTIONS = {"zero_point": 22.5, "pixel_scale": 0.4}


def test_one_for_all(sample, tmp_path):
    path = tmp_path / "noise.fits"
    fits.writeto(path, drizzled().astype(">f4"))
    batch = read_stamps(**sample.patterns, **OPTIONS, noise_correlation=path)
    assert batch.noise_correlation.shape == (1, 7, 7)
    assert np.allclose(batch.noise_correlation[0], drizzled())


def test_one_each_and_an_hdu(sample):
    for name, share in zip(sample.names, (1.0, 0.5, 0.2), strict=True):
        rho = np.where(drizzled() == 1, 1, share * drizzled())
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(rho, name="RHO")]
        fits.HDUList(hdus).writeto(sample.path(name, "noise"))
    pattern = f"{sample.folder}/*_noise.fits"
    batch = read_stamps(**sample.patterns, **OPTIONS, noise_correlation=pattern, noise_correlation_hdu="RHO")
    assert batch.noise_correlation[:, 3, 4].tolist() == pytest.approx([0.8, 0.4, 0.16])


def test_one_that_cannot_be_is_the_fault_of_its_galaxy(sample):
    for name in sample.names:
        sample.write(name, "noise", (2.0 if name == "b" else 1.0) * drizzled())
    batch = read_stamps(**sample.patterns, **OPTIONS, noise_correlation=f"{sample.folder}/*_noise.fits")
    assert batch.status == (Status.RUNNING, Status.BAD_INPUT, Status.RUNNING)
    assert "b_image.fits: noise correlation is 2 in the middle" in batch.message[1]


def test_run_file_and_command_line(sample, tmp_path):
    (tmp_path / "run.toml").write_text(
        "[input]\nimage = '*_image.fits'\nnoise_correlation = 'noise.fits'\n[model.galaxy]\nprofile = 'sersic'\n"
    )
    source = read_run_file(tmp_path / "run.toml").source
    assert source.noise_correlation == str(tmp_path / "noise.fits")
    given = StampArguments(image="*_image.fits", noise_correlation="noise.fits")
    assert given.fields() == {"image": "*_image.fits", "noise_correlation": "noise.fits"}
