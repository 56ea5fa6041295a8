"""The run file of a survey: every option is explained, every mistake is named."""

import dataclasses
import tomllib
from pathlib import Path

import pytest

from isolux.cli.survey_template import SURVEY_TEMPLATE
from isolux.errors import InputError
from isolux.survey.mocks import MocksInput
from isolux.survey.options import ClusterOptions, SurveyOptions
from isolux.survey.run_file import OUTPUT, read_survey_file

PLAIN = '[input]\nmocks = 10\n[model.sersic]\nprofile = "sersic"\n'


def written(folder, text):
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_template_explains_every_option_and_runs_as_it_is(tmp_path):
    named = {line.split(" = ")[0].strip("# ") for line in SURVEY_TEMPLATE.splitlines() if " = " in line}
    fields = {f.name for kind in (SurveyOptions, ClusterOptions) for f in dataclasses.fields(kind)}
    assert fields | set(OUTPUT) <= named
    run = read_survey_file(written(tmp_path, SURVEY_TEMPLATE))
    assert isinstance(run.input, MocksInput)
    assert run.survey == SurveyOptions(part_galaxies=250)
    assert run.cluster == ClusterOptions()
    assert run.folder == tmp_path / "run"


def examples():
    """Return every commented line of the sections whose values are plain, with its section."""
    section = ""
    for line in SURVEY_TEMPLATE.splitlines():
        section = line.split("]")[0] + "]" if line.startswith("[") else section
        if section in ("[survey]", "[cluster]", "[output]") and line.startswith("# "):
            yield section, line.removeprefix("# ")


EXAMPLES = list(examples())


@pytest.mark.parametrize(("section", "line"), EXAMPLES, ids=[line.split(" =")[0] for _, line in EXAMPLES])
def test_every_example_in_the_template_is_valid(section, line, tmp_path):
    run = read_survey_file(written(tmp_path, PLAIN + f"{section}\n{line}\n"))
    name, value = next(iter(tomllib.loads(line).items()))
    homes = {"[survey]": run.survey, "[cluster]": run.cluster}
    if section in homes:
        assert getattr(homes[section], name) == value


def test_options_win_over_the_file(tmp_path):
    text = PLAIN + '[survey]\nretries = 7\n[cluster]\nworkers = 3\n[output]\nfolder = "there"\n'
    run = read_survey_file(written(tmp_path, text), workers=5, folder=Path("here"), part_galaxies=9)
    assert (run.survey.retries, run.survey.part_galaxies, run.cluster.workers) == (7, 9, 5)
    assert run.folder == Path("here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no section .input."),
        ("[input]\nmocks = 10\n", "no section .model"),
        (PLAIN + "[survay]\n", "unknown section.*did you mean 'survey'"),
        (PLAIN + "[survey]\nretry = 1\n", "unknown key of .survey.*did you mean 'retries'"),
        (PLAIN + "[survey]\nretries = -1\n", "retries .got -1.*0 or more"),
        (PLAIN + '[survey]\ninput_check = "sometimes"\n', "input_check.*time, content, none"),
        (PLAIN + '[cluster]\nkind = "abacus"\n', "kind of cluster.*local, slurm, pbs, kubernetes"),
        (PLAIN + "[cluster]\nworkers = 0\n", "workers .got 0"),
        (PLAIN + "[fit]\nworkers = 2\n", "workers belongs to .cluster."),
        (PLAIN + '[output]\nexports = ["hatz"]\n', "unknown export 'hatz'.*did you mean 'hats'"),
        (PLAIN + "[output]\nmaps = true\n", "maps = true in .output. is for fields"),
        (PLAIN + "[field]\nthreshold = 3\n", "field. is for fields"),
        (PLAIN.replace("mocks = 10", "mocks = 0"), "number of galaxies.*got 0"),
        (PLAIN.replace("mocks = 10", "mocks = 1.5"), "whole number of galaxies"),
        (PLAIN.replace("mocks = 10", "mocks = 10\nsise = 64"), "unknown key of .input.*did you mean 'size'"),
        (PLAIN.replace("mocks = 10", "mocks = 10\ndensity = 0"), "density"),
        (PLAIN.replace("mocks = 10", 'mocks = 10\nmodel = "spiral"'), "unknown mock model"),
        (PLAIN.replace("mocks = 10", 'fields = "*.fits"'), "fields take no section .model."),
        ("input = 3\n", "input is no section"),
    ],
)
def test_mistakes_are_named_with_the_file(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_survey_file(written(tmp_path, text))
    assert "run.toml" in str(caught.value)


def test_a_file_that_is_not_there_or_no_toml(tmp_path):
    with pytest.raises(InputError, match=r"no\.toml: cannot be read"):
        read_survey_file(tmp_path / "no.toml")
    with pytest.raises(InputError, match="not TOML"):
        read_survey_file(written(tmp_path, "[input"))


def test_examples_are_run_files():
    for path in sorted((Path(__file__).parents[2] / "examples" / "survey").glob("*.toml")):
        read_survey_file(path)
