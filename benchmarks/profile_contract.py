"""How a profile's brightness and slopes are best evaluated: broadcasting or vmap, closed forms or autodiff.

The profile is Sersic's, at the 168 x 168 points of one stamp, in float32 on one thread. The contenders:

- brightness: the author's function on tensors that broadcast, or the same function of single numbers mapped
  over galaxies and points by ``torch.func.vmap``;
- brightness and three slopes (by radius, effective radius and index): closed forms, forward-mode autodiff of
  the broadcast function, or forward-mode autodiff of the function of single numbers inside ``vmap``.

The contenders take turns; the figures are medians of the processor time.

    python benchmarks/profile_contract.py [--rounds 300]
"""

import argparse
import statistics
import time

import torch

from isolux.profiles import RadialProfile, Sersic

SIDE = 168
BATCHES = (1, 4, 16)
SHAPE = ("effective_radius", "sersic_index")
PROFILE = Sersic()


def inputs(galaxies):
    y, x = torch.meshgrid(torch.arange(SIDE) - 83.3, torch.arange(SIDE) - 83.8, indexing="ij")
    r = torch.hypot(x, y).reshape(1, -1).expand(galaxies, -1).contiguous()
    radius = torch.linspace(5, 30, galaxies)[:, None]
    index = torch.linspace(1, 4, galaxies)[:, None]
    return r, radius, index


def of_numbers(r, radius, index):
    return PROFILE.brightness(r, radius, index)


def over_galaxies_and_points(function):
    return torch.func.vmap(torch.func.vmap(function, (0, None, None)), (0, 0, 0))


def with_slopes(*numbers):
    slopes = []
    for k, number in enumerate(numbers):

        def moved(value, k=k):
            return of_numbers(*numbers[:k], value, *numbers[k + 1 :])

        f, slope = torch.func.jvp(moved, (number,), (torch.ones_like(number),))
        slopes.append(slope)
    return f, *slopes


def contenders(r, radius, index):
    shape = dict(zip(SHAPE, (radius, index), strict=True))
    numbers = (r, radius[:, 0], index[:, 0])
    return {
        "brightness, broadcasting": lambda: PROFILE.brightness(r, radius, index),
        "brightness, vmap": lambda: over_galaxies_and_points(of_numbers)(*numbers),
        "slopes, closed form": lambda: PROFILE.slopes(r, shape, set(SHAPE)),
        "slopes, forward mode": lambda: RadialProfile.slopes(PROFILE, r, shape, set(SHAPE)),
        "slopes, forward mode in vmap": lambda: over_galaxies_and_points(with_slopes)(*numbers),
    }


def check(runs):
    """Make sure that all give the same numbers."""
    values = {name: run() for name, run in runs.items()}
    torch.testing.assert_close(
        values["brightness, vmap"], values["brightness, broadcasting"], rtol=1e-5, atol=1e-6
    )
    f, by_radius, maps = values["slopes, closed form"]
    f2, by_radius2, maps2 = values["slopes, forward mode"]
    f3, by_radius3, *rest = values["slopes, forward mode in vmap"]
    for other, slope, others in (
        (f2, by_radius2, maps2),
        (f3, by_radius3, dict(zip(SHAPE, rest, strict=True))),
    ):
        torch.testing.assert_close(other, f, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(slope, by_radius, rtol=1e-4, atol=1e-6)
        for name in SHAPE:
            torch.testing.assert_close(others[name].to(f), maps[name], rtol=1e-3, atol=1e-5)


def measure(runs, rounds):
    """Median milliseconds of processor time of each contender."""
    times = {name: [] for name in runs}
    for turn in range(rounds + 3):
        for name, run in runs.items():
            start = time.process_time()
            run()
            if turn >= 3:
                times[name].append(1e3 * (time.process_time() - start))
    return {name: statistics.median(taken) for name, taken in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=300, help="runs of each contender")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    PROFILE.brightness(*inputs(1))  # tabulates b(n), which is done once and not inside vmap
    table = {}
    for galaxies in BATCHES:
        runs = contenders(*inputs(galaxies))
        check(runs)
        table[galaxies] = {name: taken / galaxies for name, taken in measure(runs, rounds).items()}
    print(f"torch {torch.__version__}, one thread, {SIDE} x {SIDE} points, float32, medians of {rounds}")
    print("| ms a galaxy | " + " | ".join(f"batch of {galaxies}" for galaxies in BATCHES) + " |")
    print("|---|" + "---:|" * len(BATCHES))
    for name in table[BATCHES[0]]:
        print(f"| {name} | " + " | ".join(f"{table[galaxies][name]:.3f}" for galaxies in BATCHES) + " |")
    for over, under in (
        ("brightness, vmap", "brightness, broadcasting"),
        ("slopes, forward mode", "slopes, closed form"),
        ("slopes, forward mode in vmap", "slopes, forward mode"),
    ):
        ratios = " | ".join(f"{table[g][over] / table[g][under]:.2f}" for g in BATCHES)
        print(f"| ratio: {over} / {under.split(', ')[1]} | {ratios} |")


if __name__ == "__main__":
    main()
