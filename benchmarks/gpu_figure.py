"""Tables and figure of what gpu.py has measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tables
from small_figures import save_small

from isolux.report.style import BLUE, GREY, VERMILLION, Sheet, house_style

TEXT = """
## GPU

{date}, Isolux at commit {commit}, {device}, PyTorch {torch}.
`python benchmarks/gpu.py`: mock galaxies of one Sérsic component, 128 x 128 pixels, a PSF of 41 x 41 each, with a sky
level, measured starting values and covariance; float32, batches that are on the device.

{rates}

CPU and device on the same galaxies, values in standard errors:

{agreement}

A batch of {profiled} galaxies takes {whole:.0f} ms, in {busy:.0f} of which {launched} kernels are at work:

{kernels}

Its operators read and write {bytes:.1f} GB, {each:.2f} MB a galaxy; the memory copies {bandwidth:.0f} GB/s. At that
rate they would take {ideal:.0f} ms: the fit runs at {share:.0f} % of the memory's limit, and without moving less it
could not be faster than {limit:.0f} galaxies a second.
"""


def show(found: Mapping[str, Any], results: Path) -> None:
    """Put the tables into a file and the figure into docs/figures."""
    whole, moved = found["kernels"]["whole"] / 1e3, found["traffic"]["bytes"]
    ideal = moved / found["bandwidth"]
    text = TEXT.format(
        **{name: found[name] for name in ("date", "commit", "device", "torch", "profiled")},
        rates=rate_table(found["rates"]),
        agreement=agreement_table(found["agreement"]),
        kernels=kernel_table(found["kernels"]),
        whole=1e3 * whole,
        busy=found["kernels"]["busy"],
        launched=found["kernels"]["launched"],
        bytes=moved / 1e9,
        each=moved / 1e6 / found["profiled"],
        bandwidth=found["bandwidth"] / 1e9,
        ideal=1e3 * ideal,
        share=100 * ideal / whole,
        limit=found["profiled"] / ideal,
    )
    print(text)
    tables.put(results, "gpu", text)
    draw(found, found["profiled"] / ideal)


def rate_table(rows: list[dict[str, float]]) -> str:
    header = ["galaxies of a batch", "a second", "ms a galaxy", "peak memory, GB", "converged", "steps"]
    return tables.markdown(
        header,
        [
            [
                str(row["galaxies"]),
                f"{row['rate']:.0f}",
                f"{1e3 / row['rate']:.3f}",
                f"{row['peak'] / 1e9:.2f}",
                f"{100 * row['converged']:.1f} %",
                f"{row['steps']:.1f}",
            ]
            for row in rows
        ],
    )


def agreement_table(rows: list[dict[str, Any]]) -> str:
    header = ["precision", "galaxies", "same status", "largest difference", "median", "largest of chi2"]
    return tables.markdown(
        header,
        [
            [
                str(row["dtype"]),
                str(row["galaxies"]),
                f"{100 * row['same status']:.1f} %",
                f"{row['largest, errors']:.2g}",
                f"{row['median of largest, errors']:.2g}",
                f"{row['chi2']:.2g}",
            ]
            for row in rows
        ],
    )


def kernel_table(found: Mapping[str, Any]) -> str:
    lines = [
        [kind, f"{taken:.1f}", f"{100 * taken / found['busy']:.0f} %"]
        for kind, taken in found["kinds"].items()
        if taken > 0.005 * found["busy"]
    ]
    return tables.markdown(["kernels", "ms", "share"], lines)


def draw(found: Mapping[str, Any], limit: float) -> None:
    """Rate against batch size."""
    size, rate = (np.array([row[name] for row in found["rates"]]) for name in ("galaxies", "rate"))
    with house_style():
        sheet = Sheet.of(4.4, 3.2)
        axes = sheet.axes(0.65, 0.2, 3.55, 2.5)
        axes.plot(size, rate, "o-", ms=4, color=BLUE, label=found["device"])
        axes.axhline(limit, color=GREY, ls="--", lw=0.9, label="limit of the memory's bandwidth")
        axes.axhline(4000, color=VERMILLION, ls=":", lw=0.9, label="4000 a second")
        axes.set(xscale="log", yscale="log", xlabel="galaxies of a batch", ylabel="galaxies a second")
        axes.legend(loc="best")
        save_small(sheet.figure, "gpu", dpi=130)
