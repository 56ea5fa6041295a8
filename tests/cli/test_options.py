"""Command line, run file and dataclasses tell of the same options."""

import contextlib
import dataclasses
import tomllib

import pytest

from isolux.cli.arguments import FitArguments, ModelArguments, OutputArguments, StampArguments
from isolux.cli.model import components_of, model_table
from isolux.cli.template import TEMPLATE
from isolux.errors import InputError
from isolux.io.runfile import read_run_file
from isolux.io.source import StampSource
from isolux.options import RunOptions
from isolux.parameters import Free
from isolux.profiles import FlatSky, Sersic
from isolux.solve import FirstOrder, LevenbergMarquardt, Sampler


def test_run_file_explains_every_option():
    named = {line.split(" = ")[0].strip("# ") for line in TEMPLATE.splitlines() if " = " in line}
    assert {field.name for kind in (StampSource, RunOptions) for field in dataclasses.fields(kind)} <= named


def test_template_is_a_run_file(tmp_path):
    (tmp_path / "run.toml").write_text(TEMPLATE)
    run = read_run_file(tmp_path / "run.toml")
    assert run.source.image == str(tmp_path / "stamps/*_image.fits")
    assert run.source.pixel_scale == 0.396
    assert [type(profile) for profile in run.scene.components.values()] == [Sersic, FlatSky]
    assert run.options == RunOptions(folder=tmp_path / "run")


def examples():
    """Return every commented line of the template that is TOML, with its section."""
    section, found = "", []
    for line in TEMPLATE.splitlines():
        if line.startswith("["):
            section = line.split("]")[0] + "]"
        with contextlib.suppress(tomllib.TOMLDecodeError):
            if line.startswith("# ") and (values := tomllib.loads(line.removeprefix("# "))):
                found.append((section, line.removeprefix("# "), values))
    return found


@pytest.mark.parametrize(
    ("section", "line", "values"), examples(), ids=[next(iter(v)) for _, _, v in examples()]
)
def test_every_example_in_the_template_is_valid(section, line, values, tmp_path):
    content = {
        "[input]": 'image = "a.fits"\n',
        "[model.galaxy]": 'profile = "sersic"\n',
        "[fit]": "",
        "[output]": "",
    }
    content[section] = "" if "image" in values else content[section]
    content[section] += line + "\n"
    text = "".join(f"{name}\n{lines}" for name, lines in content.items())
    (tmp_path / "run.toml").write_text(text + '[model.bulge]\nprofile = "sersic"\n')
    run = read_run_file(tmp_path / "run.toml")
    if section == "[model.galaxy]":
        settings = run.scene.components["galaxy"].settings
        assert settings[next(iter(values))][1] != Free()


def test_run_file_tells_the_true_defaults():
    options, source = RunOptions(), StampSource(image="x")
    for section, _, values in examples():
        for name, value in values.items():
            default = getattr(options if section in ("[fit]", "[output]") else source, name, None)
            default = dataclasses.asdict(default) if name == "sampler" else default
            if default is not None and name not in ("solver", "priors"):
                assert value == default, name


def test_help_tells_the_true_defaults():
    defaults = {f.name: f.default for f in dataclasses.fields(RunOptions)} | {"out": "run", "steps": 100}
    defaults |= {"tolerance": LevenbergMarquardt().tolerance, "learning_rate": FirstOrder().learning_rate}
    defaults["draws"] = Sampler().draws
    for group in (FitArguments, OutputArguments):
        for field in dataclasses.fields(group):
            said = field.metadata["help"].rpartition("Default ")[2].rstrip(".").partition(",")[0]
            if said.startswith(("lm", "fits", "one a core")) or "Default " not in field.metadata["help"]:
                continue
            assert said == str(defaults[field.name] or 0), field.name


def test_every_field_of_the_stamps_has_an_option_or_a_suffix():
    options = {field.name for field in dataclasses.fields(StampArguments)}
    renamed = {"sky": "sky_level", "psf_includes_pixel": "psf_without_pixel"}
    for field in dataclasses.fields(StampSource):
        assert field.name.endswith("_hdu") or renamed.get(field.name, field.name) in options


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("sersic", {"sersic": {"profile": "sersic"}}),
        ("a:sersic + b:king", {"a": {"profile": "sersic"}, "b": {"profile": "king"}}),
        (
            "disc+bar",
            {
                "disc": {"profile": "exponential"},
                "bar": {"profile": "ferrer", "x": {"tied": "disc.x"}, "y": {"tied": "disc.y"}},
            },
        ),
        ("bulge:sersic", {"bulge": {"profile": "sersic"}}),
    ],
)
def test_models(model, expected):
    assert components_of(model) == expected


def test_settings_on_top_of_a_run_files_model():
    arguments = ModelArguments(
        set=["g.x=5", "g.y=y_col"],
        fix=["g.boxiness=0.1"],
        tie=["g.position_angle=2*g.x"],
        bound=["g.x=:9", "g.q=0.1:"],
    )
    table = model_table(
        arguments, {"g": {"profile": "sersic", "x": 3.0, "y": {"start": 1, "log": False}, "q": 0.5}}
    )
    assert table["g"] == {
        "profile": "sersic",
        "x": {"start": 5.0, "upper": 9.0},
        "y": {"log": False, "column": "y_col"},
        "q": {"start": 0.5, "lower": 0.1},
        "boxiness": {"fixed": 0.1},
        "position_angle": {"tied": "2*g.x"},
    }


def test_own_profiles_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = model_table(ModelArguments(model="sersic", profile=["mybar.py:MyBar"]))
    assert table["mybar"] == {"profile": f"{tmp_path}/mybar.py:MyBar"}
    with pytest.raises(InputError, match=r"--profile .*allowed: mybar\.py:MyBar"):
        model_table(ModelArguments(profile=["MyBar"]))
