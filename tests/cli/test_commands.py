"""What the commands do where all is well."""

import numpy as np

from isolux.cli import run as runs
from isolux.io.catalogue import read_catalogue

GALAXIES = 4
STAMPS = ["--image", "stamps/*_image.fits", "--sigma", "stamps/*_sigma.fits", "--psf", "stamps/*_psf.fits"]
NUMBERS = ["--zero-point", "22.5", "--pixel-scale", "0.6"]
QUICK = ["--no-blocks", "--threads", "1"]
FIT = ["fit", *STAMPS, *NUMBERS, *QUICK]


def catalogue(path="run/catalogue.fits"):
    return read_catalogue(path)


def test_fit_by_pattern(folder, run):
    text = run(*FIT, "--model", "sersic+sky")
    assert "4 converged" in text
    assert "median reduced chi-square" in text
    table = catalogue()
    assert list(table["id"]) == [f"mock_00{k}" for k in range(GALAXIES)]
    assert (table["status"] == 0).all()
    assert not (folder / "run/blocks").exists()


def test_fit_by_table_with_starting_values(folder, run):
    rows = ["name,image,sigma,psf,n_start"]
    rows += [
        f"g{k}," + ",".join(f"stamps/mock_00{k}_{kind}.fits" for kind in ("image", "sigma", "psf")) + ",1.5"
        for k in range(GALAXIES)
    ]
    (folder / "list.csv").write_text("\n".join(rows) + "\n")
    run(
        "fit",
        "--table",
        "list.csv",
        "--id",
        "name",
        *NUMBERS,
        *QUICK,
        "--model",
        "sersic+sky",
        "--set",
        "sersic.sersic_index=n_start",
        "--format",
        "csv",
        "--out",
        "by_table",
    )
    assert list(catalogue("by_table/catalogue.csv")["id"]) == ["g0", "g1", "g2", "g3"]


def test_fit_by_run_file_and_options_that_win(folder, run):
    (folder / "run.toml").write_text(
        "[input]\nimage='stamps/*_image.fits'\nsigma='stamps/*_sigma.fits'\npsf='stamps/*_psf.fits'\n"
        "zero_point=22.5\npixel_scale=0.6\n[model.galaxy]\nprofile='sersic'\n[output]\nblocks=false\n"
    )
    run("fit", "run.toml", "--format", "ecsv", "--out", "other", "--fix", "galaxy.sersic_index=1.5")
    table = catalogue("other/catalogue.ecsv")
    assert (table["galaxy_sersic_index"] == 1.5).all()
    assert "sky_level" not in table.colnames


def test_blocks_figures_and_plot(folder, run):
    run("fit", *STAMPS, *NUMBERS, "--threads", 1, "--model", "sersic", "--figures", 1)
    assert sorted(p.name for p in (folder / "run/figures").iterdir()) == ["mock_000.png"]
    text = run(
        "plot",
        "run/blocks/mock_000.fits",
        "run/blocks/mock_001.fits",
        "--out",
        "drawn",
        "--format",
        "png,pdf",
    )
    assert "2 of 2 blocks" in text
    assert sorted(p.name for p in (folder / "drawn").iterdir()) == [
        f"mock_00{k}.{suffix}" for k in (0, 1) for suffix in ("pdf", "png")
    ]


def test_bulge_and_disc_share_a_centre(folder, run):
    run(
        *FIT,
        "--model",
        "bulge+disc+sky",
        "--fix",
        "bulge.sersic_index=4",
        "--bound",
        "disc.axis_ratio=0.2:1",
        "--steps",
        6,
    )
    table = catalogue()
    np.testing.assert_array_equal(table["bulge_x"], table["disc_x"])
    assert (table["bulge_sersic_index"] == 4).all()
    assert (table["disc_axis_ratio"] >= 0.2).all()


def test_own_profile(folder, run):
    (folder / "mybar.py").write_text(
        "import torch\nfrom isolux import Parameter, RadialProfile\n\n"
        "class MyBar(RadialProfile):\n"
        "    parameters = (Parameter('length', 'pixel', 'half length', lower=0.1, upper=500, log=True,"
        " guess='radius'),)\n\n"
        "    def brightness(self, r, length):\n"
        "        return torch.exp(-r / length)\n"
    )
    run(*FIT, "--profile", "bar=mybar.py:MyBar")
    assert (catalogue()["bar_length"] > 0).all()
    assert "half length" in run("profiles", "mybar.py:MyBar")


def test_init_then_check_then_fit(folder, run):
    assert "isolux fit run.toml" in run("init")
    assert "4 galaxies: nothing is wrong" in run("check", "run.toml")
    run("fit", "run.toml", "--no-blocks")
    assert len(catalogue()) == GALAXIES
    assert "is there already" in run("init", code=2)


def test_other_solver_and_errors(folder, run):
    run(*FIT, "--model", "sersic", "--solver", "Adam", "--steps", 20, "--errors", "none", "--out", "adam")
    assert np.isnan(catalogue("adam/catalogue.fits")["sersic_magnitude_err"]).all()
    run(*FIT, "--model", "sersic", "--errors", "bootstrap", "--replicates", 12, "--seed", 3, "--out", "boot")
    assert (catalogue("boot/catalogue.fits")["sersic_magnitude_err"] > 0).all()


def test_resume_takes_only_what_is_missing(folder, run):
    kept = [(file, file.resolve()) for file in folder.glob("stamps/mock_003*")]
    for file, _ in kept:
        file.unlink()
    run(*FIT, "--model", "sersic")
    for file, target in kept:
        file.symlink_to(target)
    assert "is there already; resume it or overwrite it" in run(*FIT, "--model", "sersic", code=2)
    text = run(*FIT, "--model", "sersic", "--resume")
    assert "3 galaxies were in run/catalogue.fits already" in text
    assert "How 1 fit ended" in text
    assert len(catalogue()) == GALAXIES
    assert "4 galaxies were in" in run(*FIT, "--model", "sersic", "--resume")


def test_an_interrupted_run_is_kept_and_resumed(folder, monkeypatch, run):
    add = runs.Tally.add

    def interrupt(tally, result):
        add(tally, result)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs.Tally, "add", interrupt)
    text = run(*FIT, "--model", "sersic", "--batch-size", 2, code=130)
    assert "Interrupted. What was done is in run/catalogue.fits; go on with --resume" in text
    assert len(catalogue()) == 2
    monkeypatch.setattr(runs.Tally, "add", add)
    run(*FIT, "--model", "sersic", "--resume")
    assert len(catalogue()) == GALAXIES


def test_version_help_and_profiles(run):
    assert run("--version").startswith("isolux 0.")
    assert "isolux fit --image" in run("fit", "--help")
    assert "Exit codes: 0 all galaxies have a fit" in run("fit", "--help")
    text = run("profiles", "king", "sky")
    assert "truncation_radius pixel" in text
    assert "level flux/pixel2" in text
