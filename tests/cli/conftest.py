"""A folder with stamps to work in, and a way to run commands there."""

import pytest
from typer.testing import CliRunner

from isolux.cli import app, console
from isolux.io.write_stamps import write_stamps
from isolux.simulate import Observation, mock_stamps


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Return a folder with the stamps of four galaxies, made once."""
    folder = tmp_path_factory.mktemp("made")
    view = Observation(size=32, psf_size=15, psf_fwhm=(1.5, 1.6), pixel_scale=0.6, sky_sigma=(0.01, 0.01))
    batch, _ = mock_stamps(4, seed=3, observation=view)
    write_stamps(batch, folder / "stamps")
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """Return an own working folder with links to the stamps."""
    (tmp_path / "stamps").mkdir()
    for file in (made / "stamps").iterdir():
        (tmp_path / "stamps" / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    """Return a function that runs a command, looks at its exit code, and returns what it prints."""
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("OUT", "ERR"):
        # Consoles of their own, which look at the streams of the moment, and so wide that nothing is folded.
        wide = type(console.OUT)(stderr=name == "ERR", highlight=False, width=250)
        monkeypatch.setattr(console, name, wide)

    def run(*words, code=0):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == code, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return " ".join(done.output.split())

    return run
