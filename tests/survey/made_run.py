"""A small survey run made by hand: mock stamps fitted part by part and put into the folder of a run.

For tests of what reads a run; the run itself has its own tests.
"""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from astropy import units as u
from astropy.wcs import WCS

import isolux
from isolux.io.catalogue import Rows
from isolux.io.portraits import Portrait, write_portraits
from isolux.io.rows import with_sky
from isolux.io.run_folder import Quarantined, Receipt, RunFolder
from isolux.io.tables import to_arrow
from isolux.simulate import Observation, mock_stamps
from isolux.status import Flag, Status

SCENES = {
    "sersic": lambda: isolux.Scene(sersic=isolux.Sersic(), sky=isolux.FlatSky()),
    "bulge+disc": lambda: isolux.Scene(
        bulge=isolux.Sersic(sersic_index=isolux.Fixed(4.0)),
        disc=isolux.Exponential(x=isolux.Tied("bulge.x"), y=isolux.Tied("bulge.y")),
        sky=isolux.FlatSky(),
    ),
}
VIEW = Observation(size=40, psf_size=15, pixel_scale=0.6, psf_fwhm=(1.3, 1.4), sky_sigma=(0.005, 0.01))


def make_run(
    folder: str | Path,
    galaxies: int = 24,
    parts: int = 3,
    seed: int = 1,
    *,
    model: str = "sersic",
    centre: tuple[float, float] = (150.0, 2.0),
    spread: float = 0.5,
    portraits: int = 2,
    without_place: int = 0,
    lost: int = 0,
) -> RunFolder:
    """Make the folder of a finished run.

    ``centre`` and ``spread`` are degrees; galaxies lie in a square of twice the spread on a side. ``portraits`` is
    their number in each part; the last ``without_place`` galaxies have no WCS; the last ``lost`` parts are given up.
    """
    run = RunFolder(folder)
    run.path.mkdir(parents=True, exist_ok=True)
    batch, truth = mock_stamps(galaxies, model, seed=seed, observation=VIEW)
    batch = dataclasses.replace(batch, wcs=_wcs(galaxies, seed, centre, spread, without_place))
    pieces = np.array_split(np.arange(galaxies), parts)
    run.write_manifest(_manifest(galaxies, parts, seed))
    run.tell("begin", galaxies=galaxies, parts=parts)
    for number, rows in enumerate(pieces):
        if number >= parts - lost:
            run.quarantine(
                Quarantined(number, len(rows), f"stamps of part {number}", "the disk is full", ["it"])
            )
            continue
        _write_part(
            run, number, batch.select(rows.tolist()), {k: v[rows] for k, v in truth.items()}, model, portraits
        )
    run.tell("end", done=parts - lost, lost=lost)
    return run


def _manifest(galaxies: int, parts: int, seed: int) -> dict:
    plan = {"parts": parts, "galaxies": galaxies, "pixels": galaxies * VIEW.size**2, "digest": "0" * 64}
    return {
        "format": 1,
        "name": "made",
        "created": "2026-01-01T00:00:00+00:00",
        "configuration": {"kind": "mocks", "seed": str(seed)},
        "versions": {"isolux": isolux.__version__},
        "seeds": {"seed": str(seed)},
        "plan": plan,
        "input_files": 0,
    }


def _wcs(galaxies: int, seed: int, centre: tuple[float, float], spread: float, without: int) -> tuple:
    rng = np.random.default_rng(seed + 77)
    made = []
    for k in range(galaxies):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
        dec = centre[1] + rng.uniform(-spread, spread)
        wcs.wcs.crval = [centre[0] + rng.uniform(-spread, spread) / np.cos(np.radians(dec)), dec]
        wcs.wcs.crpix = [(VIEW.size + 1) / 2] * 2
        turn, scale = np.radians(25.0), VIEW.pixel_scale / 3600
        wcs.wcs.cd = scale * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        made.append(wcs if k < galaxies - without else None)
    return tuple(made)


def _write_part(run: RunFolder, number: int, batch, truth: dict, model: str, portraits: int) -> None:
    scene = SCENES[model]()
    result = isolux.fit(batch, scene)
    rows = catalogue_rows(result, truth)
    size, checksum = run.write_part(number, rows)
    write_portraits(run.portraits_file(number), list(_portraits(batch, scene, result, portraits)))
    flags = Counter(flag.name for flags in result.flags for flag in Flag if flag in flags)
    run.write_receipt(
        Receipt(
            part=number,
            rows=len(rows),
            bytes=size,
            sha256=checksum,
            seconds=1.5,
            fitting=1.25,
            cpu=1.4,
            memory=1 << 28,
            status=dict(Counter(Status(s).name.lower() for s in result.status)),
            flags=dict(flags),
            remarks=(),
            attempt=1,
            host="here, process 1",
            finished="2026-01-01T00:00:00+00:00",
        )
    )


def catalogue_rows(result: isolux.Result, truth: dict[str, np.ndarray]) -> Rows:
    """Rows of a survey's catalogue: those of a result without times, then the truth."""
    table = result.table()
    table.remove_column("seconds")
    sky = truth_on_sky(result, truth)
    for axis in ("ra", "dec"):
        table[f"truth_{axis}"] = u.Quantity(sky[axis], "deg")
        table[f"truth_{axis}"].info.description = f"truth of {axis}"
    for name, values in truth.items():
        column = name.replace(".", "_")
        unit = table[column].unit
        long = unit is not None and unit == "arcsec"
        values = values * result.pixel_scale.double().numpy() if long else values
        table[f"truth_{column}"] = values if unit is None else values * unit
        table[f"truth_{column}"].info.description = f"truth of {column}"
    return with_sky(to_arrow(table))


def truth_on_sky(result: isolux.Result, truth: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Right ascension and declination of the true centres; NaN without a WCS."""
    first = next(name for name in truth if name.endswith(".x")).removesuffix(".x")
    out = {"ra": np.full(len(result), np.nan), "dec": np.full(len(result), np.nan)}
    for k, wcs in enumerate(result.wcs):
        if wcs is not None:
            out["ra"][k], out["dec"][k] = wcs.all_pix2world(truth[f"{first}.x"][k], truth[f"{first}.y"][k], 0)
    return out


def _portraits(batch, scene: isolux.Scene, result: isolux.Result, count: int):
    with torch.no_grad():
        models = scene.images(batch, result.values)
    first = next(iter(scene.components))
    for k in range(min(count, len(result))):
        if not result.status[k].fitted:
            continue
        yield Portrait(
            result.id[k],
            *(images[k].numpy() for images in (batch.image, models, batch.sigma, batch.mask)),
            pixel_scale=float(result.pixel_scale[k]),
            zero_point=float(result.zero_point[k]),
            **{
                name: float(result[f"{first}.{name}"][k])
                for name in ("x", "y", "axis_ratio", "position_angle")
            },
        )
