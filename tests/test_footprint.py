"""The memory that a fit is said to take bounds what a process of its own takes, and is not far above it."""

import json
import subprocess
import sys

import pytest
import torch

from isolux.footprint import Footprint

PROGRAM = """
import json, resource, sys
import numpy as np, torch
import isolux

torch.set_num_threads(1)
galaxies, side, components = map(int, sys.argv[1:])
scene = isolux.Scene(**{f"g{k}": isolux.Sersic() for k in range(components)}, sky=isolux.FlatSky())
unit = 1 if sys.platform == "darwin" else 1024


def stamps(count, side):
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    image = (100 * np.exp(-np.hypot(x, y / 0.7) / (side / 12)))[None].repeat(count, 0).astype("f4")
    v, u = np.mgrid[:41, :41] - 20
    psf = np.exp(-(u**2 + v**2) / 4)
    return isolux.Batch.from_arrays(image, sigma=np.ones_like(image), psf=[psf] * (count - 1) + [psf.T + 1e-9])


def peak():
    # Linux lets a process inherit ru_maxrss from the one that started it, but not this:
    if sys.platform == "linux":
        with open("/proc/self/status") as status:
            return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


solver = isolux.LevenbergMarquardt(max_steps=3)
isolux.fit(stamps(2, 16), scene, solver=solver)
batch = stamps(galaxies, side)
before = peak()
isolux.fit(batch, scene, solver=solver)
print(json.dumps(peak() - before))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no getrusage")
@pytest.mark.parametrize(("galaxies", "side", "components"), [(256, 64, 1), (2, 512, 3)])
def test_bound_of_a_process(galaxies, side, components):
    """What was there before the fit, its images and what they were made from, is left out on both sides."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(galaxies), str(side), str(components)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    bound = Footprint((side, side), (41, 41), components + 1).fit(galaxies)
    assert 0.05 * bound < json.loads(ran.stdout) < bound


def test_what_it_grows_with():
    one = Footprint((128, 128), (41, 41))
    assert one.points == 168**2
    assert one.fit(20) - one.fit(10) == 10 * one.a_galaxy
    assert Footprint((128, 128)).a_galaxy < one.a_galaxy
    assert Footprint((128, 128), (41, 41), own_psf=False).a_galaxy == Footprint((128, 128)).a_galaxy
    assert Footprint((128, 128), (41, 41), 3).a_galaxy == one.a_galaxy
    assert Footprint((128, 128), (41, 41), 3).at_work > one.at_work
    assert Footprint((128, 128), (81, 81), oversampling=2).points > 3 * one.points
    assert Footprint((128, 128), (41, 41), dtype=torch.float64).a_galaxy == 2 * one.a_galaxy
    assert one.run(10, waiting=2) > one.run(10) == one.fit(10)


def test_galaxies_that_fit_into_the_memory():
    one = Footprint((128, 128), (41, 41))
    for room in (10**8, 10**9, 10**10):
        count = one.galaxies(room, waiting=1)
        assert one.run(count, 1) <= room < one.run(2 * count, 1)
        assert count & (count - 1) == 0
    assert one.galaxies(0) == 1
