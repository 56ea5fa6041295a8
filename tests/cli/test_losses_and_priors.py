"""Losses and priors from the command line and from run files."""

import numpy as np
import pytest
from astropy.table import QTable

from isolux import Column, GaussianPrior, Huber, LogNormalPrior
from isolux.io.catalogue import read_catalogue
from isolux.io.runfile import read_run_file

STAMPS = ["--image", "stamps/*_image.fits", "--psf", "stamps/*_psf.fits", "--zero-point", "22.5"]
QUICK = ["--pixel-scale", "0.6", "--no-blocks", "--model", "sersic+sky"]
SIGMA = ["--sigma", "stamps/*_sigma.fits"]
RUN_FILE = """\
[input]
image = "stamps/*_image.fits"
sigma = "stamps/*_sigma.fits"
psf = "stamps/*_psf.fits"
zero_point = 22.5
pixel_scale = 0.6
[model.galaxy]
profile = "sersic"
[output]
blocks = false
[fit]
"""


def test_loss_and_priors_by_options(folder, run):
    prior = "sersic.sersic_index=gaussian:2:0.001"
    run("fit", *STAMPS, *SIGMA, *QUICK, "--loss", "student-t:4", "--prior", prior)
    table = read_catalogue("run/catalogue.fits")
    assert (table["status"] == 0).all()
    assert np.allclose(table["sersic_sersic_index"], 2.0, atol=0.02)
    assert np.allclose(table["sersic_sersic_index_err"], 0.001, rtol=0.1)
    assert (table["loss"] < table["chi2"] * 1.2).all()
    assert (table["prior"] >= 0).all()


def test_counts_by_options(folder, run):
    counts = ["--loss", "cash", "--gain", "1000"]
    run("fit", *STAMPS, *SIGMA, *QUICK, *counts, "--sky-level", "1", "--out", "above")
    assert (read_catalogue("above/catalogue.fits")["status"] == 0).all()
    text = run("fit", *STAMPS, *SIGMA, *QUICK, *counts, "--out", "below", code=1)
    assert "have negative counts" in text


def test_numbers_of_priors_from_a_table(folder, run):
    names = [f"mock_00{k}" for k in range(4)]
    columns = {kind: [f"stamps/{n}_{kind}.fits" for n in names] for kind in ("image", "sigma", "psf")}
    radius = np.array([1.2, 1.8, 1.2, 2.4])
    table = QTable({"id": names, **columns, "before": radius, "wide": [1e-4, 1e-4, 1e-4, 0.0]})
    table["before"].unit = "arcsec"
    table.write("sample.ecsv")
    prior = "sersic.effective_radius=log-normal:before:wide"
    options = [*QUICK, "--zero-point", "22.5", "--prior", prior]
    text = run("fit", "--table", "sample.ecsv", *options, code=1)
    found = read_catalogue("run/catalogue.fits")
    assert np.allclose(np.asarray(found["sersic_effective_radius"])[:3], radius[:3], rtol=1e-2)  # in arcsec
    assert list(found["status"]) == [0, 0, 0, 11]
    assert "dex (got 0); allowed: above 0" in text


def test_run_file_says_the_same(folder):
    (folder / "run.toml").write_text(
        RUN_FILE
        + 'loss = { name = "huber", delta = 2.0 }\n'
        + 'priors = ["galaxy.sersic_index=gaussian:2:0.5", '
        + '{ on = "galaxy.effective_radius", kind = "log-normal", median = "re", dex = 0.2 }]\n'
    )
    options = read_run_file("run.toml").options
    assert options.loss == Huber(2.0)
    first, second = options.priors
    assert isinstance(first, GaussianPrior)
    assert (first.mean, first.width) == (2.0, 0.5)
    assert isinstance(second, LogNormalPrior)
    assert (second.median, second.dex) == (Column("re"), 0.2)


def test_option_takes_the_place_of_the_files_prior_on_the_same(folder, run):
    (folder / "run.toml").write_text(
        RUN_FILE + 'loss = "huber"\npriors = ["galaxy.sersic_index=gaussian:2:0.001"]\n'
    )
    run("fit", "run.toml", "--prior", "galaxy.sersic_index=gaussian:1:0.001", "--loss", "chi2")
    table = read_catalogue("run/catalogue.fits")
    assert np.allclose(table["galaxy_sersic_index"], 1.0, atol=0.05)
    assert "loss" not in table.colnames


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--loss", "student"], "did you mean 'student-t'"),
        (["--loss", "huber:0"], "Huber: delta"),
        (["--loss", "cash"], "give the gain"),
        (["--prior", "sersic.sersic_index=gaussian:2"], "a prior cannot be read"),
        (["--prior", "sersic.sersic_index=gaussian:2:0"], "width"),
        (["--prior", "sersic.sersic_indx=gaussian:2:1"], "did you mean 'sersic.sersic_index'"),
        (["--prior", "sersic.sersic_index=gaussian:n:1"], "unknown column"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_meant_is_said_before_a_run(folder, run, options, said):
    for command in ("check", "fit"):
        text = run(command, *STAMPS, *SIGMA, *QUICK, *options, code=1 if command == "check" else 2)
        assert said in text
