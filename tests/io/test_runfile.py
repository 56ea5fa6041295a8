import pytest

from isolux.errors import InputError
from isolux.io.profile_file import find_profile
from isolux.io.runfile import read_run_file, setting_from
from isolux.parameters import Column, Fixed, Free, Tied
from isolux.profiles import PixelGrid, Spline
from isolux.solve import FirstOrder

MINIMAL = """
[input]
image = "stamps/*.fits"
[model.galaxy]
profile = "sersic"
"""
OWN = """
import torch
from isolux.parameters import Parameter
from isolux.profiles import RadialProfile

class Bar(RadialProfile):
    parameters = (Parameter("length", "pixel", "half length", lower=0.1, upper=500, log=True),)

    def brightness(self, r, length):
        return torch.exp(-((r / length) ** 4))
"""


def read(tmp_path, text):
    (tmp_path / "run.toml").write_text(text)
    return read_run_file(tmp_path / "run.toml")


@pytest.mark.parametrize(
    ("value", "kind", "fields"),
    [
        (2.5, Free, {"start": 2.5}),
        ([1.0, 2.0], Free, {"start": [1.0, 2.0]}),
        (
            {"start": 2, "lower": 1, "upper": 3, "log": True},
            Free,
            {"start": 2, "lower": 1, "upper": 3, "log": True},
        ),
        ({"lower": 1}, Free, {"start": None, "lower": 1}),
        ({"fixed": 4.0}, Fixed, {"value": 4.0}),
        ({"fixed": "n"}, Fixed, {"value": Column("n")}),
        ({"tied": "disc.x"}, Tied, {"to": "disc.x"}),
        ({"column": "re", "upper": 9.0}, Free, {"start": Column("re"), "upper": 9.0}),
    ],
)
def test_settings(value, kind, fields):
    setting = setting_from("a.b", value)
    assert type(setting) is kind
    assert {name: getattr(setting, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"strat": 1}, "unknown key of a.b 'strat'; did you mean 'start'"),
        ({"fixed": 1, "tied": "a.c"}, "exclude each other"),
        ({"fixed": 1, "lower": 0}, "exclude each other"),
        ("disc.x", 'write { column = "disc.x" } or'),
    ],
)
def test_wrong_settings(value, words):
    with pytest.raises(InputError, match=words):
        setting_from("a.b", value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[input]", "[inputs]", "unknown section .*'inputs'; did you mean 'input'"),
        ("image =", "imgae =", r"unknown key of \[input\] 'imgae'; did you mean 'image'"),
        ('"sersic"', '"sersci"', "unknown profile 'sersci'; did you mean 'sersic'"),
        ('"sersic"', '"sersic"\nefective_radius = 3', "did you mean 'effective_radius'"),
        ('profile = "sersic"', "x = 1", "needs a profile"),
        ("[input]", "[input", "not TOML"),
        (
            "[model.galaxy]",
            "[fit]\ndevcie = 'cpu'\n[model.galaxy]",
            r"key of \[fit\] 'devcie'; did you mean 'device'",
        ),
        ("[model.galaxy]", "[fit]\nfolder = 'x'\n[model.galaxy]", r"key of \[fit\] 'folder'"),
        ("[model.galaxy]", "[output]\nblock = true\n[model.galaxy]", "did you mean 'blocks'"),
        ("[model.galaxy]", "[fit]\nbatch_size = 0\n[model.galaxy]", "batch_size"),
        ("[model.galaxy]", "[fit]\nsolver = 'newton'\n[model.galaxy]", "unknown solver 'newton'"),
        ("[model.galaxy]", "[fit]\nsolver = {max_step = 3}\n[model.galaxy]", "did you mean 'max_steps'"),
    ],
)
def test_mistakes_are_named(tmp_path, old, new, words):
    with pytest.raises(InputError, match=words) as caught:
        read(tmp_path, MINIMAL.replace(old, new))
    assert "run.toml" in str(caught.value)


def test_missing_files_and_sections(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_run_file(tmp_path / "no.toml")
    with pytest.raises(InputError, match=r"no section \[input\]"):
        read(tmp_path, "[model.galaxy]\nprofile = 'sersic'\n")
    with pytest.raises(InputError, match=r"no section \[model\]"):
        read(tmp_path, "[input]\nimage = 'a'\n")


def test_solvers_and_arguments_of_profiles(tmp_path):
    run = read(
        tmp_path,
        MINIMAL.replace('"sersic"', '"spline"\nknots = 5\nouter = 20.0\nx = 3.0')
        + '[model.grid]\nprofile = "PixelGrid"\nshape = [4, 4]\n[fit]\nerrors = "none"\n'
        + 'solver = {name = "first-order", optimizer = "LBFGS"}\n',
    )
    assert run.options.solver == FirstOrder("LBFGS")
    assert isinstance(run.scene.components["galaxy"], Spline)
    assert isinstance(run.scene.components["grid"], PixelGrid)
    assert len([name for name in run.scene.columns if name.startswith("grid.values")]) == 16


def test_table_beside_the_run_file(tmp_path):
    (tmp_path / "psf.fits").write_bytes(b"")
    text = MINIMAL.replace('"stamps/*.fits"', '"file"\ntable = "galaxies.csv"\npsf = "psf.fits"\nsigma = 0.5')
    source = read(tmp_path, text).source
    assert source.table == str(tmp_path / "galaxies.csv")
    assert (source.image, source.psf, source.sigma) == ("file", str(tmp_path / "psf.fits"), 0.5)


def test_profile_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text(OWN)
    run = read(tmp_path, MINIMAL.replace('"sersic"', '"mine.py:Bar"\nlength = 4.0'))
    assert run.scene.components["galaxy"].settings["length"][1].start == 4.0
    assert find_profile(f"{tmp_path}/mine.py").__name__ == "Bar"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mine.py:Bra", "unknown profile in .*'Bra'; did you mean 'Bar'"),
        ("no.py:Bar", "no such file"),
        ("broken.py:Bar", "broken.py: ZeroDivisionError"),
        ("empty.py:Bar", "defines no subclass"),
        ("sersc", "did you mean 'sersic'"),
    ],
)
def test_profiles_that_are_not_there(tmp_path, name, words):
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "empty.py").write_text("from isolux.profiles import Sersic")
    with pytest.raises(InputError, match=words):
        find_profile(name, tmp_path)
