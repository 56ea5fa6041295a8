"""Rate of a GPU against batch size, where its time goes, how near it is to its memory's limit, and whether it agrees
with the CPU: `python benchmarks/gpu.py --out gpu.json`, with PyTorch and NumPy alone.

`python benchmarks/gpu.py --show gpu.json` makes tables and a figure of it, on any machine with Matplotlib. The
galaxies are those of `isolux.simulate`: one Sérsic component, 128 x 128 pixels, a PSF of 41 x 41 each; a sky level is
fitted too, starting values are measured, errors come from the covariance. `--device cpu` tries it without a GPU.
"""

import argparse
import dataclasses
import datetime
import json
import math
import time
from pathlib import Path

import torch
from about import commit
from gpu_profile import bandwidth, kernels, traffic

import isolux
from isolux.simulate import mock_stamps

DRAWN = 256
"""Galaxies that are different; larger batches repeat them."""
BATCHES = (64, 256, 1024, 4096, 8289, 16384)
PROFILED = 4096
AGREEMENT = {"float32": torch.float32, "float64": torch.float64}
SCENE = isolux.Scene(galaxy=isolux.Sersic(), sky=isolux.FlatSky())


def main() -> None:
    options = parse()
    if options.show is not None:
        from gpu_figure import show

        return show(json.loads(options.show.read_text()), options.results)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no CUDA device: nothing is measured (--device cpu tries the script)")
        return None
    drawn, _ = mock_stamps(options.drawn, seed=1)
    found = {
        "date": str(datetime.date.today()),
        "commit": commit(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "agreement": [agreement(drawn, name, device) for name in AGREEMENT],
        "rates": [rate(drawn, count, device, options.rounds) for count in options.batches],
    }
    profiled = repeated(drawn, min(PROFILED, max(options.batches))).to(device)
    found["kernels"] = kernels(lambda: fit(profiled), device)
    found["traffic"] = traffic(lambda: fit(profiled), device)
    found["bandwidth"] = bandwidth(device)
    found["profiled"] = len(profiled)
    options.out.write_text(json.dumps(found, indent=1))
    print(f"{options.out} is written")
    return None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--drawn", type=int, default=DRAWN)
    parser.add_argument("--rounds", type=int, default=3, help="runs of which the fastest counts")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument(
        "--show", type=Path, help="make tables and a figure of what an earlier run has written"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).resolve().parent / "RESULTS.md")
    return parser.parse_args()


def repeated(batch: isolux.Batch, count: int) -> isolux.Batch:
    """A batch of so many galaxies, the given ones over and over."""
    many = batch.select([k % len(batch) for k in range(count)])
    return dataclasses.replace(many, id=tuple(f"{k:06d}" for k in range(count)))


def fit(batch: isolux.Batch) -> isolux.Result:
    """The fit that is timed; its result is on the CPU, so that it has ended."""
    return isolux.fit(batch, SCENE)


def rate(drawn: isolux.Batch, count: int, device: torch.device, rounds: int) -> dict[str, float]:
    """Galaxies a second of a batch that is on the device, and its memory at the peak."""
    batch = repeated(drawn, count).to(device)
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    best = math.inf
    for _ in range(rounds + 1):  # the first is for warming up
        begin = time.perf_counter()
        result = fit(batch)
        took = time.perf_counter() - begin
        best = min(best, took)
    row = {
        "galaxies": count,
        "seconds": best,
        "rate": count / best,
        "peak": torch.cuda.max_memory_allocated(device) if on_gpu else 0,
        "converged": float(result.converged.double().mean()),
        "steps": float(result.steps.double().mean()),
    }
    print(f"{count} galaxies: {row['rate']:.0f} a second, {row['peak'] / 1e9:.2f} GB", flush=True)
    return row


def agreement(drawn: isolux.Batch, dtype: str, device: torch.device) -> dict[str, object]:
    """Largest difference of values between device and CPU, in standard errors, and of chi-square."""
    batch = drawn.to(dtype=AGREEMENT[dtype])
    one, two = fit(batch), fit(batch.to(device))
    both = one.converged & two.converged
    free = [k for k, kind in enumerate(one.kinds) if kind == "free"]
    apart = ((one.values - two.values).abs() / one.errors)[both][:, free]
    row = {
        "dtype": dtype,
        "galaxies": int(both.sum()),
        "same status": float((one.converged == two.converged).double().mean()),
        "largest, errors": float(apart.nan_to_num(0).max()),
        "median of largest, errors": float(apart.nan_to_num(0).amax(1).median()),
        "chi2": float((one.chi2 - two.chi2).abs()[both].max()),
    }
    print(row, flush=True)
    return row


if __name__ == "__main__":
    main()
