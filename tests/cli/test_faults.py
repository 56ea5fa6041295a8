"""What the command line says where something is wrong, and its exit codes."""

import numpy as np
import pytest
from astropy.io import fits

from isolux.io.catalogue import read_catalogue
from isolux.io.write_stamps import write_image

STAMPS = ["--image", "stamps/*_image.fits", "--sigma", "stamps/*_sigma.fits", "--psf", "stamps/*_psf.fits"]
NUMBERS = ["--zero-point", "22.5", "--pixel-scale", "0.6"]
QUICK = ["--no-blocks", "--threads", "1"]
FIT = ["fit", *STAMPS, *NUMBERS, *QUICK]


def test_a_bad_start_is_a_row_and_exit_code_1(folder, run):
    text = run(*FIT, "--model", "sersic", "--set", "sersic.axis_ratio=3", code=1)
    assert "axis_ratio starts at 3, allowed 0.05 to 1" in text
    assert (read_catalogue("run/catalogue.fits")["status"] != 0).all()


def test_one_bad_galaxy_leaves_the_others(folder, run):
    image = folder / "stamps/mock_001_image.fits"
    content = image.read_bytes()
    image.unlink()
    image.write_bytes(content[:4000])
    text = run(*FIT, "--model", "sersic", code=1)
    assert "cut off" in text
    assert np.count_nonzero(read_catalogue("run/catalogue.fits")["status"] == 0) == 3


def test_a_sample_without_a_single_good_galaxy(folder, run):
    for image in (folder / "stamps").glob("*_image.fits"):
        pixels = fits.getdata(image) * np.nan
        image.unlink()
        fits.writeto(image, pixels)
    text = run(*FIT, "--model", "sersic", "--batch-size", 2, code=1)
    assert "4 every pixel is masked" in text
    assert "Error: no galaxy has a fit; see the column message in run/catalogue.fits" in text
    assert "reduced chi-square" not in text
    table = read_catalogue("run/catalogue.fits")
    assert all("masked or not finite" in message for message in table["message"])
    assert np.isnan(table["sersic_magnitude"]).all()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fit"], "no stamps: give --image"),
        (["fit", *STAMPS], "no model: give --model, such as sersic"),
        (
            ["fit", "--image", "nowhere/*.fits", "--model", "sersic"],
            "no file matches the pattern (got 'nowhere/*.fits')",
        ),
        (["fit", "absent.toml"], "absent.toml: cannot be read, No such file or directory"),
        ([*FIT, "--model", "sersik"], "unknown profile 'sersik'; did you mean 'sersic'?"),
        ([*FIT, "--model", "sersic+sersic"], "two components are called sersic"),
        ([*FIT, "--model", "sersic+"], "a component cannot be read (got '')"),
        ([*FIT, "--model", "sersic", "--set", "sersic.index=2"], "did you mean 'sersic_index'?"),
        (
            [*FIT, "--model", "sersic", "--set", "sersci.x=2"],
            "unknown component in --set 'sersci'; did you mean 'sersic'?",
        ),
        ([*FIT, "--model", "sersic", "--fix", "sersic.x"], "allowed: component.parameter=value"),
        ([*FIT, "--model", "sersic", "--bound", "sersic.x=1"], "allowed: component.parameter=low:high"),
        (
            [*FIT, "--model", "sersic", "--bound", "sersic.x=9:1"],
            "the lower bound must be below the upper one",
        ),
        ([*FIT, "--model", "sky", "--fix", "sky.level=0"], "nothing to fit"),
        ([*FIT, "--model", "sersic", "--set", "sersic.x=x_start"], "unknown column 'x_start'"),
        (
            [*FIT, "--model", "sersic", "--errors", "covarance"],
            "errors (got 'covarance'); allowed: covariance",
        ),
        ([*FIT, "--model", "sersic", "--format", "xlsx"], "unknown format of the catalogue 'xlsx'"),
        ([*FIT, "--model", "sersic", "--solver", "Addam"], "unknown optimizer 'Addam'; did you mean 'Adam'?"),
        (
            [*FIT, "--model", "sersic", "--learning-rate", "0.1"],
            "--learning-rate is for an optimiser of torch.optim",
        ),
        ([*FIT, "--model", "sersic", "--device", "tpu9"], "device 'tpu9' cannot be used"),
        ([*FIT, "--model", "sersic", "--variance", "1"], "give one of sigma, variance and ivar"),
        (
            [*FIT, "--model", "sersic", "--threads", "0"],
            "threads (got 0); allowed: a whole number, 1 or more",
        ),
        ([*FIT, "--model", "sersic", "--figures", "-1"], "--figures (got -1); allowed: 0 or more"),
        ([*FIT, "--model", "sersic", "--out", "stamps/mock_000_psf.fits"], "stamps/mock_000_psf.fits"),
        (["profiles", "sersik"], "did you mean 'sersic'?"),
        (["plot", "absent.fits"], "absent.fits: no such file"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_exit_code_2(words, said, folder, run):
    text = run(*words, code=2)
    assert said in text
    assert text.count("Error: ") == 1
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("words", "said"), [(["fit", "--imag", "x"], "No such option: --imag"), (["fitt"], "Did you mean 'fit'?")]
)
def test_misspelt_options_and_commands(words, said, run):
    assert said in run(*words, code=2)


def test_repeated_ids(folder, run):
    (folder / "list.csv").write_text("id,image\na,stamps/mock_000_image.fits\na,stamps/mock_001_image.fits\n")
    text = run("fit", "--table", "list.csv", "--sigma", "0.01", *NUMBERS, "--model", "sersic", code=2)
    assert "ids given to more than one galaxy: a" in text


def test_an_empty_sample(folder, run):
    (folder / "list.csv").write_text("id,image\n")
    text = run("fit", "--table", "list.csv", "--sigma", "0.01", *NUMBERS, "--model", "sersic", code=2)
    assert "no galaxies in it" in text


def test_check_lists_all_faults_at_once(folder, run):
    write_image(folder / "stamps/odd_image.fits", np.ones((32, 32)))
    write_image(folder / "stamps/odd_sigma.fits", np.ones((30, 32)))
    write_image(folder / "stamps/odd_psf.fits", np.ones((15, 15)))
    (folder / "stamps/mock_002_psf.fits").unlink()
    (folder / "stamps/mock_003_sigma.fits").unlink()
    write_image(folder / "stamps/mock_003_sigma.fits", np.zeros((32, 32)))
    (folder / "run").mkdir()
    (folder / "run/catalogue.fits").touch()
    text = run("check", *STAMPS, *NUMBERS, "--threads", 1, "--model", "sersic", code=1)
    assert "4 faults" in text
    for said in (
        "there is a catalogue or an unfinished run",
        "mock_002 galaxy mock_002: no file for it among psf",
        "mock_003 all 1024 pixels are masked or not finite stamps/mock_003_image.fits",
        "sigma has shape (30, 32) but the image has (32, 32)",
    ):
        assert said in text
    assert not (folder / "run/blocks").exists()


def test_check_lists_faults_of_the_call_together(folder, run):
    text = run(
        "check",
        "--image",
        "nowhere/*",
        "--variance",
        1,
        "--sigma",
        1,
        "--model",
        "sersik",
        "--errors",
        "no",
        code=1,
    )
    assert "3 faults" in text
    for said in ("give one of sigma, variance and ivar", "did you mean 'sersic'?", "errors (got 'no')"):
        assert said in text


def test_plot_goes_on_after_a_file_that_is_no_block(folder, run):
    run("fit", *STAMPS, *NUMBERS, "--threads", 1, "--model", "sersic")
    text = run("plot", "stamps/mock_000_psf.fits", "run/blocks/mock_001.fits", code=1)
    assert "1 of 2 blocks" in text
    assert (folder / "figures/mock_001.png").exists()
    assert "no FITS files in this folder" in run("plot", ".", code=2)
    assert "allowed: png, pdf, svg" in run("plot", "run/blocks", "--format", "pgn", code=2)
