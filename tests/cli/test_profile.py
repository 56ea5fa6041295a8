"""``isolux profile`` with networks, and runs that are ended early and go on."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from astropy.io import fits
from typer.testing import CliRunner

from isolux.cli import profile_stamps
from isolux.cli.app import app
from isolux.io import profile_tables, weights
from isolux.io.profile_tables import read_profiles
from isolux.io.weights import write_weights
from isolux.nets import Card, Pix2Prof, Pix2ProfConfig, PolarNet

GALAXIES = 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Random weights that find a galaxy everywhere."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(5)
    polar = PolarNet()
    with torch.no_grad():
        polar.heads.bias[9] = 3.0
    write_weights(
        folder / "polar.safetensors", polar.state_dict(), Card("polar", ranges={"radius": (50, 60)})
    )
    config = {"size": 64, "low": -3.0, "high": 50.0, "window": 5, "most": 20, "spread": -1.0}
    card = Card("pix2prof", config, zero_point=22.5, pixel_scale=(0.4,), bands=("r",))
    write_weights(folder / "pix2prof.safetensors", Pix2Prof(Pix2ProfConfig(**config)).state_dict(), card)
    return folder


def drawn(folder):
    rows, columns = np.mgrid[:48, :48] - 23.5
    for k in range(GALAXIES):
        light = 60 * np.exp(-np.hypot(columns, rows / 0.6) / 5)
        for band, factor in (("g", 1), ("r", 2)):
            noise = np.random.default_rng(10 * k + factor).standard_normal((48, 48))
            fits.writeto(folder / f"gal{k}_{band}.fits", factor * light + noise)
    return folder


@pytest.fixture
def stamps(tmp_path):
    return drawn(tmp_path)


@pytest.fixture
def one_by_one(monkeypatch):
    """A batch a galaxy."""
    monkeypatch.setattr(profile_stamps, "MOST_PIXELS", 1)


def call(*words):
    # Where output is captured the width of a terminal would break sentences.
    return CliRunner().invoke(app, ["profile", *map(str, words)], env={"COLUMNS": "400"})


def command(stamps, trained, method, *more, out="out"):
    given = () if method == "isophotes" else ("--weights", trained / f"{method}.safetensors")
    units = ("--zero-point", 22.5, "--pixel-scale", 0.4)
    return (f"{stamps}/*_g.fits", "--method", method, *given, *units, "--out", stamps / out, *more)


@pytest.mark.parametrize("method", ["polar", "pix2prof"])
def test_networks_write_tables_and_figures(stamps, trained, method):
    result = call(*command(stamps, trained, method, "--levels", 23, "--step", 0.3, "--figures", 2))
    assert result.exit_code == 0, result.output
    assert f"{GALAXIES} of {GALAXIES} galaxies have a profile" in result.output
    radii, galaxies = read_profiles(stamps / "out")
    assert np.allclose(np.diff(np.asarray(radii["sma"][:4])), 0.3)
    assert "radius_23" in galaxies.colnames
    assert len(list((stamps / "out" / "figures").glob("*.png"))) == 2
    assert not (stamps / "out" / profile_tables.UNFINISHED).exists()
    if method == "polar":
        assert "unlike the network's training" in result.output
        assert all("half-light radius in pixels" in text for text in galaxies["profile_flags_text"])
    else:
        assert "ellipticity" not in radii.colnames


def test_names_of_methods_find_the_weights_that_are_shipped(stamps, trained, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "SHIPPED", trained)
    words = (f"{stamps}/gal0_g.fits", "--method", "polar", "--pixel-scale", 0.4, "--figures", 0)
    assert call(*words, "--out", stamps / "a").exit_code == 0
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "none")
    result = call(*words, "--out", stamps / "b")
    assert result.exit_code == 2
    assert "no weights of polar come with this Isolux: train them" in result.output


def test_colours_are_measured_along_the_shapes_of_polar(stamps, trained):
    result = call(
        *command(
            stamps, trained, "polar", "--band", f"r={stamps}/*_r.fits", "--band-name", "g", "--figures", 1
        )
    )
    assert result.exit_code == 0, result.output
    with fits.open(stamps / "out" / "colours.fits") as file:
        colour, bright = file[1].data["g_r"], file[1].data["g"] < 20
    assert abs(np.nanmedian(colour[bright]) - 2.5 * np.log10(2)) < 0.05


@pytest.mark.parametrize(
    ("method", "words", "said"),
    [
        ("polar", ("--smoothness", "0.1"), "--smoothness is of isophotes: polar does not take it"),
        ("polar", ("--keep-neighbours",), "--keep-neighbours is of isophotes"),
        ("polar", ("--weights", "{}/pix2prof.safetensors"), "weights for --method"),
        ("polar", ("--weights", "{}/nothing.safetensors"), "no such file"),
        ("isophotes", ("--weights", "{}/polar.safetensors"), "--weights are of networks"),
        ("pix2prof", ("--band", "r=x*.fits"), "pix2prof says no shapes"),
        ("polar", ("--step", "-1"), "step of profiles"),
    ],
)
def test_what_does_not_go_together(stamps, trained, method, words, said):
    result = call(*command(stamps, trained, method, *(word.format(trained) for word in words)))
    assert result.exit_code == 2, result.output
    assert said in result.output


def test_pix2prof_must_be_told_the_zero_point(stamps, trained):
    words = (f"{stamps}/*_g.fits", "--method", "pix2prof", "--weights", trained / "pix2prof.safetensors")
    result = call(*words, "--pixel-scale", 0.4, "--out", stamps / "x")
    assert result.exit_code == 2
    assert "say that of yours with --zero-point" in result.output
    # Without a scale each galaxy says what is missing, as for isophotes.
    result = call(*words, "--zero-point", 22.5, "--out", stamps / "y", "--figures", 0)
    assert result.exit_code == 1
    assert all("give pixel_scale" in text for text in read_profiles(stamps / "y")[1]["profile_flags_text"])


def test_another_band_is_said_once(stamps, trained):
    result = call(*command(stamps, trained, "pix2prof", "--band-name", "g", "--figures", 0))
    assert result.exit_code == 0, result.output
    assert result.output.count("trained on r, not on g") == 1


def dies(monkeypatch, place, number):
    """Have a run end at the ``number``-th call of a function, before it has done anything."""
    owner, name = place
    whole, calls = getattr(owner, name), []

    def once(*words, **keywords):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        return whole(*words, **keywords)

    monkeypatch.setattr(owner, name, once)
    return calls


def contents(folder):
    return [sorted(str(tuple(row)) for row in table) for table in read_profiles(folder)]


@pytest.fixture(scope="module")
def whole(trained, tmp_path_factory):
    """The tables of a run that was not ended, a batch a galaxy."""
    folder = drawn(tmp_path_factory.mktemp("whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_stamps, "MOST_PIXELS", 1)
        assert call(*command(folder, trained, "polar", "--figures", 0)).exit_code == 0
    return contents(folder / "out")


WRITER = profile_tables.CatalogueWriter
ENDS = {
    "while the third is measured": ((profile_stamps, "loaded"), 3, 2),
    "before the first row": ((WRITER, "write"), 1, 0),
    "between radii and galaxies": ((WRITER, "write"), 4, 1),
    "after the last galaxy": ((WRITER, "close"), 1, 4),
    "between the tables": ((WRITER, "close"), 2, 4),
    "before the last table": ((WRITER, "close"), 3, 4),
}


@pytest.mark.parametrize("end", ENDS)
def test_an_ended_run_goes_on_where_it_was(stamps, trained, whole, monkeypatch, one_by_one, end):
    place, number, done = ENDS[end]
    words = command(stamps, trained, "polar", "--figures", 2 if end == "between radii and galaxies" else 0)
    with monkeypatch.context() as patch:
        dies(patch, place, number)
        result = call(*words)
        assert result.exit_code == 130, result.output
        assert "the same command goes on from there" in result.output
    with monkeypatch.context() as patch:
        read = dies(patch, (profile_stamps, "loaded"), 99)
        result = call(*words)
    assert result.exit_code == 0, result.output
    assert len(read) == GALAXIES - done
    assert (f"after {done} of {GALAXIES}" in result.output) == (done > 0)
    assert f"{GALAXIES} of {GALAXIES} galaxies" in result.output
    assert contents(stamps / "out") == whole
    assert len(list((stamps / "out" / "figures").glob("*.png"))) == words[-1]
    assert {p.name for p in (stamps / "out").iterdir()} - {"figures"} == {"profiles.fits", "galaxies.fits"}


def test_other_settings_do_not_go_on(stamps, trained, monkeypatch, one_by_one):
    words = command(stamps, trained, "polar", "--figures", 0)
    with monkeypatch.context() as patch:
        dies(patch, (profile_stamps, "loaded"), 2)
        assert call(*words).exit_code == 130
    for more, name in (
        (("--step", 0.5), "step"),
        (("--format", "csv"), "format"),
        (("--mask", "x*.fits"), ""),
    ):
        result = call(*words, *more)
        assert result.exit_code == 2
        assert not name or ("an unfinished run of other settings" in result.output and name in result.output)
    (stamps / "gal9_g.fits").write_bytes((stamps / "gal0_g.fits").read_bytes())
    result = call(*words)
    assert result.exit_code == 2
    assert "--overwrite it: stamps" in result.output
    assert call(*words, "--overwrite", "--step", 0.5).exit_code == 0
    assert len(read_profiles(stamps / "out")[1]) == GALAXIES + 1
    # What is finished is not begun again by mistake.
    result = call(*words)
    assert result.exit_code == 2
    assert "already: give another folder, or --overwrite" in result.output


def test_a_damaged_note_of_what_the_run_was_is_refused(stamps, trained, monkeypatch, one_by_one):
    words = command(stamps, trained, "polar", "--figures", 0)
    with monkeypatch.context() as patch:
        dies(patch, (profile_stamps, "loaded"), 2)
        call(*words)
    (stamps / "out" / profile_tables.UNFINISHED).write_text("{")
    assert call(*words).exit_code == 2


KILLED = """
import os, signal, sys
from isolux.cli import profile_stamps
from isolux.cli.app import app
profile_stamps.MOST_PIXELS = 1
whole, calls = profile_stamps.loaded, []
def loaded(*words):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*words)
profile_stamps.loaded = loaded
app(sys.argv[1:])
"""


def test_a_killed_process_loses_nothing(stamps, trained, one_by_one):
    words = [str(w) for w in command(stamps, trained, "isophotes", "--figures", 0)]
    end = subprocess.run(
        [sys.executable, "-c", KILLED, "profile", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert end.returncode == -signal.SIGKILL
    assert json.loads((stamps / "out" / profile_tables.UNFINISHED).read_text())["method"] == "isophotes"
    result = call(*words)
    assert result.exit_code == 0, result.output
    assert f"after 2 of {GALAXIES}" in result.output
    assert list(read_profiles(stamps / "out")[1]["id"]) == [f"gal{k}" for k in range(GALAXIES)]
