"""How many galaxies a second the networks read on one core, beside isophotes.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/profile_networks_speed.py [--weights FOLDER] [--size 256]

All of `read_profiles` is timed, from a batch in memory to profiles with their remarks, in CPU time of one thread, best
of some rounds. With --weights the networks are FOLDER/polar.safetensors and FOLDER/pix2prof.safetensors, else those
that come with Isolux, else random ones. The time of pix2prof depends on when it halts: it is also timed with the
halting rule off, for 400 values (80 arcsec). Prints a table for benchmarks/RESULTS.md.
"""

import argparse
import dataclasses
import datetime
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from about import commit, processor

from isolux.batch import Batch
from isolux.io.weights import read_network, shipped
from isolux.isophotes.measure import measure_isophotes
from isolux.nets import Card, Pix2Prof, Pix2ProfConfig, PolarNet, read_profiles
from isolux.simulate import Observation, mock_stamps

STEPS = 400
BATCHES = (1, 16, 128)
UNITS = {"zero_point": 22.5, "pixel_scale": (0.396,)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, help="folder of trained weights")
    parser.add_argument("--count", type=int, default=128, help="stamps")
    parser.add_argument("--size", type=int, default=256, help="their rows and columns")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    batch = mock_stamps(options.count, seed=1, observation=Observation(size=options.size))[0]
    print(f"`python benchmarks/profile_networks_speed.py {' '.join(sys.argv[1:])}`, {datetime.date.today()}, commit "
          f"{commit()}, {processor()}, one thread, CPU time.\n")  # fmt: skip
    print(f"Galaxies a second, {options.size} x {options.size} pixels, in batches of so many.\n")
    sizes = [n for n in BATCHES if n <= options.count]
    print("| what | " + " | ".join(str(n) for n in sizes) + " |")
    print("|---|" + "---|" * len(sizes))
    for name, read in readers(options.weights, options.size).items():
        rates = [rate(read, batch.select(range(n)), options.rounds) for n in sizes]
        print(f"| {name} | " + " | ".join(f"{r:.3g}" for r in rates) + " |", flush=True)


def readers(folder: Path | None, size: int) -> dict[str, Callable[[Batch], object]]:
    """What is timed."""
    found: dict[str, Callable[[Batch], object]] = {}
    for name in ("polar", "pix2prof"):
        path = None if folder is None else folder / f"{name}.safetensors"
        if path is None and name not in shipped():
            network, card, kind = *random(name, size), "random weights"
        else:
            network, card = read_network(name if path is None else path)
            kind = "trained weights"
        field = f", field {card.config['size']}" if name == "pix2prof" else ""
        found[f"{name}, {kind}{field}"] = lambda some, n=network, c=card: read_profiles(some, n, c)
    network, card = random("pix2prof", size)
    found[f"pix2prof, {STEPS} values, field {size}"] = lambda some: read_profiles(some, network, card)
    found["isophotes"] = measure_isophotes
    return found


def random(name: str, size: int) -> tuple[PolarNet | Pix2Prof, Card]:
    """A network that finds a galaxy in each stamp, and does not halt."""
    torch.manual_seed(0)
    if name == "polar":
        network = PolarNet().eval()
        with torch.no_grad():
            network.heads.bias[9] = 3.0
        return network, Card("polar")
    config = Pix2ProfConfig(size=size, low=-1.0, high=14.0, most=STEPS, spread=-1.0)
    return Pix2Prof(config).eval(), Card("pix2prof", dataclasses.asdict(config), **UNITS)


def rate(read: Callable[[Batch], object], batch: Batch, rounds: int) -> float:
    """Galaxies a second, of the best round."""
    read(batch.select(range(min(2, len(batch)))))
    times = []
    for _ in range(rounds):
        begin = time.process_time()
        read(batch)
        times.append(time.process_time() - begin)
    return len(batch) / min(times)


if __name__ == "__main__":
    main()
