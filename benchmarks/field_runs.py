"""One code on one field: what it took, and its catalogue under common names."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import field_sextractor
import numpy as np
from about import commit
from field_mocks import Mock

HERE = Path(__file__).resolve().parent
EVERY = 0.5
"""Seconds between looks at the memory."""
HALF_LIGHT = 1.6783469900166605
SINGLE = ("magnitude", "re", "n", "q", "pa")
DOUBLE = ("magnitude", "bt", "re_b", "re_d", "q_b", "q_d")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a command took, with all its child processes.

    Attributes
    ----------
    cpu, wall : float
        Seconds.
    memory : float
        Most megabytes at a time (proportional set size).
    version : str
        Of the code: a commit for Isolux.
    """

    cpu: float
    wall: float
    memory: float
    version: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Found:
    """A catalogue: arrays (row,) of ``x``, ``y`` as detected, ``auto`` (Kron magnitude) and the fitted quantities.

    Sizes are semi-major, in arcsec; position angles in degrees from +y. ``<name>_err`` where the code gives it.
    """

    title: str
    columns: dict[str, np.ndarray]
    cost: Cost
    seconds: dict[str, float]
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns["x"])

    def rows(self, places: np.ndarray) -> dict[str, np.ndarray]:
        """Columns at some rows, NaN (or nothing) at -1."""
        out = {}
        for name, values in self.columns.items():
            some = values[np.maximum(places, 0)] if len(values) else np.full(len(places), np.nan)
            if some.dtype.kind == "f":
                some = np.where(places < 0, np.nan, some)
            elif some.dtype.kind in "US":
                some = np.where(places < 0, "", some)
            out[name] = some
        return out


def timed(command: Sequence[object], **settings: object) -> Cost:
    """Run a command to its end, and say what it took.

    Raises
    ------
    RuntimeError
        If it fails, with the end of what it said.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **settings,
    )
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watcher.start()
    assert process.stdout is not None
    with process.stdout as lines:
        said = lines.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    watcher.join(2 * EVERY)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {said[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, peak[0])


def _watch(root: int, peak: list[float]) -> None:
    while Path(f"/proc/{root}").exists():
        peak[0] = max(peak[0], sum(_megabytes(pid) for pid in family(root)))
        time.sleep(EVERY)


def family(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    members, new = [root], [root]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        members += new
    return members


def _megabytes(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def isolux(
    mock: Mock,
    models: Sequence[str],
    psf: str,
    cores: int,
    reuse: bool,
    title: str,
    places: str = "detected",
) -> Found:
    """Isolux on a field; ``psf`` is "given" or "stars", ``places`` "detected" or "true"."""
    out = mock.folder / f"isolux-{'-'.join(models)}-{psf}-{places}.npz"
    note = out.with_suffix(".json")
    if not (reuse and out.exists() and note.exists()):
        command = [sys.executable, HERE / "codes" / "isolux_field.py", mock.folder, out, ",".join(models)]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        version = commit()
        cost = dataclasses.replace(timed([*command, psf, cores, places], env=env), version=version)
        note.write_text(json.dumps(dataclasses.asdict(cost)))
    with np.load(out) as f:
        seconds, remarks = json.loads(str(f["seconds"])), json.loads(str(f["remarks"]))
        raw = {name: f[name] for name in f.files if name not in ("seconds", "remarks")}
    cost = Cost(**json.loads(note.read_text()))
    return Found(title, of_isolux(raw, models), cost, seconds, tuple(remarks))


def of_isolux(raw: Mapping[str, np.ndarray], models: Sequence[str]) -> dict[str, np.ndarray]:
    """Isolux's columns under common names."""
    columns = {"x": raw["detected_x"], "y": raw["detected_y"], "auto": raw["detected_magnitude"]}
    columns |= {name: raw[name] for name in ("model", "flags", "group_size", "detected_snr", "star", "id")}
    columns["chi2"] = raw["reduced_chi2"]
    names = {"magnitude": "magnitude", "re": "effective_radius", "n": "sersic_index", "q": "axis_ratio"}
    names |= {"pa": "position_angle", "bt": "bulge_fraction"}
    for ours, theirs in (*names.items(), ("fx", "x"), ("fy", "y")):
        columns[ours], columns[f"{ours}_err"] = raw[theirs], raw[f"{theirs}_err"]
    if "bulge+disc" in models and "bulge_axis_ratio" in raw:
        parts = {"re_b": ("bulge_effective_radius", 1.0), "re_d": ("disc_scale_radius", HALF_LIGHT)}
        parts |= {"q_b": ("bulge_axis_ratio", 1.0), "q_d": ("disc_axis_ratio", 1.0)}
        for ours, (theirs, times) in parts.items():
            columns[ours], columns[f"{ours}_err"] = times * raw[theirs], times * raw[f"{theirs}_err"]
    return columns


def sextractor(mock: Mock, model: str, psf: str, reuse: bool, title: str) -> Found:
    """SExtractor on a field; ``model`` is "sersic" or "bulge+disc", ``psf`` "given" or "stars" (PSFEx)."""
    folder = mock.folder / f"sextractor-{model}-{psf}"
    note = folder / "cost.json"
    if not (reuse and note.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        costs = [
            timed(command, cwd=folder) for command in field_sextractor.commands(mock, folder, model, psf)
        ]
        total = [sum(c.cpu for c in costs), sum(c.wall for c in costs), max(c.memory for c in costs)]
        total.append(field_sextractor.version())
        note.write_text(json.dumps(dataclasses.asdict(Cost(*total))))
    columns = field_sextractor.read(folder / "catalogue.fits", mock, model)
    return Found(title, columns, Cost(**json.loads(note.read_text())), {})
