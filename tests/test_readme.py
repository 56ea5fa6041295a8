"""The README's code works.

Every ```python block runs, and so does every line of a ```bash block that begins with `isolux`, in the
order of the page and in one folder that holds a few simulated stamps. A `make` line must name a target of
the Makefile. Lines that set up a machine (`git`, `pip`, ...) are not run. Any other line fails: teach it to
this file.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(python|bash)\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [
    words
    for language, block in BLOCKS
    if language == "bash"
    for line in block.replace("\\\n", " ").splitlines()
    if (words := shlex.split(line, comments=True))
]
SET_UP = ("git", "pip", "python3", ".venv/bin/pip")
ISOLUX = Path(sys.executable).with_name("isolux")


def run_isolux(words: list[str], folder: Path) -> None:
    done = subprocess.run([ISOLUX, *words], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"isolux {shlex.join(words)}\n{done.stdout}{done.stderr}"


@pytest.fixture
def folder(tmp_path, rng):
    """Return a folder with the stamps of three exponential discs, as the README names them."""
    y, x = np.mgrid[:64, :64].astype(float)
    v, u = np.mgrid[-12:13, -12:13].astype(float)
    psf = np.exp(-(u**2 + v**2) / (2 * 1.5**2))
    (tmp_path / "stamps").mkdir()
    for galaxy, axis_ratio in enumerate([0.4, 0.6, 0.8]):
        radius = np.hypot(x - 31.5, (y - 31.5) / axis_ratio)
        planes = {
            "image": 20 * np.exp(-radius / 5) + 1 + 0.1 * rng.standard_normal(x.shape),
            "sigma": np.full_like(x, 0.1),
            "psf": psf / psf.sum(),
        }
        for name, plane in planes.items():
            fits.writeto(tmp_path / "stamps" / f"{galaxy}_{name}.fits", plane.astype(np.float32))
    return tmp_path


@pytest.mark.slow
def test_blocks_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
            continue
        for line in block.replace("\\\n", " ").splitlines():
            if (words := shlex.split(line, comments=True)) and words[0] == "isolux":
                run_isolux(words[1:], folder)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`isolux (\w+)", README))))
def test_named_commands_exist(name, tmp_path):
    run_isolux([name, "--help"], tmp_path)


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {words[1] for words in COMMANDS if words[0] == "make"} | set(re.findall(r"`make (\w+)`", README))
    assert named
    assert named <= targets


def test_every_line_is_of_a_known_kind():
    assert {words[0] for words in COMMANDS} <= {"isolux", "make", *SET_UP}


def test_linked_files_exist():
    for link in re.findall(r"\]\(([^):#]+)\)", README):
        assert (ROOT / link).exists(), link
