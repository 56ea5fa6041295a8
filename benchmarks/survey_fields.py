"""Twenty overlapping fields through a survey run: how fast, how much memory, and whether each source is counted once.

    python benchmarks/survey_fields.py [--folder FOLDER] [--side 1024] [--step 896]

One simulated sky, five by four images like the Legacy Surveys' in r that overlap by an eighth, each with noise of its
own; PSFs are measured from the stars. The same run with one worker and with two must give the same bytes. Results go
to benchmarks/results/survey_fields.json and into the section "Surveys of fields" of RESULTS.md.
"""

import argparse
import datetime
import json
from pathlib import Path

import numpy as np
import tables
from about import commit, processor

import isolux
from isolux import mock
from isolux.io.field_image import read_field
from isolux.io.run_folder import RunFolder
from isolux.io.tables import from_arrow
from isolux.io.write_field import write_field
from isolux.mock.dice import Dice
from isolux.mock.frame import frame_of
from isolux.mock.options import FieldOptions
from isolux.mock.presets import survey_named
from isolux.mock.truth import make_truth
from isolux.survey.field_sky import separations
from isolux.survey.setup import SurveyRun

HERE = Path(__file__).resolve().parent
ACROSS, DOWN = 5, 4
FAINT, MARGIN = 22.5, 150
"""Magnitude limit; pixels beyond a field from which light is drawn into it."""
BRIGHT = 20.0
"""Signal-to-noise from which a source is expected to be found."""
TEXT = """
## Surveys of fields

`{command}`, {date}, Isolux at commit {commit}, {processor}.

{fields} simulated images of {side} x {side} pixels, {across} by {down}, {step} pixels apart, of one sky with {sources}
sources to {faint} mag; PSFs from the stars, all five models, non-parametric shapes. {rows} rows, {primary} of them
primary."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, default=HERE / "results" / "local" / "survey_fields", help="images and runs"
    )
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--step", type=int, default=896)
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2))
    parser.add_argument("--reuse", action="store_true", help="take runs that are there as they are")
    parser.add_argument("--note", default="", help="a sentence for the section")
    parser.add_argument("--results", type=Path, default=HERE / "RESULTS.md")
    parser.add_argument("--json", type=Path, default=HERE / "results" / "survey_fields.json")
    options = parser.parse_args()
    version = commit()
    truth = images(options.folder, options.side, options.step)
    runs = [run(options.folder, workers, options.reuse) for workers in options.workers]
    known = scores(options.folder / f"run{options.workers[0]}", truth)
    found = {
        "command": f"python benchmarks/survey_fields.py --side {options.side} --step {options.step}",
        "date": str(datetime.date.today()),
        "commit": version,
        "processor": processor(),
        "side": options.side,
        "step": options.step,
        "sources": len(truth["ra"]),
        "runs": runs,
        "note": options.note,
        "same_bytes": len({json.dumps(one.pop("sha256")) for one in runs}) == 1,
        **known,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    text = section(found)
    print(text)
    tables.put(options.results, "survey-fields", text)


def images(folder: Path, side: int, step: int) -> dict[str, np.ndarray]:
    """Write the images; the truth of the whole sky."""
    band = survey_named("legacy").chosen(["r"])[0]
    shape = (side + (DOWN - 1) * step, side + (ACROSS - 1) * step)
    whole = FieldOptions(size=shape, faint=FAINT, morphology="mixed")
    frame = frame_of(band, band, shape, whole.ra, whole.dec, 0.0)
    truth = make_truth([band], [frame], whole, Dice(7))
    for k in range(ACROSS * DOWN):
        place = folder / "images" / f"field{k:02d}"
        if (place / "legacy_truth.fits").exists():
            continue
        offset = (
            np.array([k % ACROSS - (ACROSS - 1) / 2, k // ACROSS - (DOWN - 1) / 2]) * step * band.pixel_scale
        )
        ra, dec = (float(v[0]) for v in frame.sky(*offset[:, None]))
        x, y = frame_of(band, band, (side, side), ra, dec, 0.0).wcs.all_world2pix(
            truth["ra"], truth["dec"], 0
        )
        near = (np.minimum(x, y) > -MARGIN) & (np.maximum(x, y) < side + MARGIN)
        own = {name: values[near] for name, values in (truth | {"x_r": x, "y_r": y}).items()}
        own["number"] = np.arange(1, near.sum() + 1)
        made = mock.field("legacy", seed=100 + k, bands=["r"], truth=own, size=side, ra=ra, dec=dec)
        write_field(made, place, overwrite=True)
        print(f"field {k}: {near.sum()} sources", flush=True)
    return truth


def run(folder: Path, workers: int, reuse: bool) -> dict[str, object]:
    """One run of all fields."""
    from isolux.survey.fields import fields_input
    from isolux.survey.options import ClusterOptions

    table = {
        "fields": "images/*/legacy_r.fits",
        "weight": "images/*/legacy_r_weight.fits",
        "truth": "images/*/legacy_truth.fits",
    }
    source = fields_input(table, folder, isolux.FieldOptions())
    cluster = ClusterOptions(workers=workers, dashboard="none")
    where = RunFolder(folder / f"run{workers}")
    if not reuse or not any(one["event"] == "ended" for one in where.events()):
        isolux.survey(SurveyRun(source, where.path, cluster=cluster), overwrite=True)
    wall = [one["seconds"] for one in where.events() if one["event"] == "ended"][-1]
    receipts = list(where.receipts())
    busy = sum(one.seconds for one in receipts)
    told = {
        "workers": workers,
        "parts": len(receipts),
        "quarantined": len(where.quarantined()),
        "rows": sum(one.rows for one in receipts),
        "wall": wall,
        "cpu": sum(one.cpu for one in receipts),
        "busy": busy / (workers * wall),
        "measuring": sum(one.fitting for one in receipts) / busy,
        "memory": max(one.memory for one in receipts),
        "sha256": [one.sha256 for one in receipts],
    }
    print({name: value for name, value in told.items() if name != "sha256"}, flush=True)
    return told


def scores(folder: Path, truth: dict[str, np.ndarray]) -> dict[str, object]:
    """How often each true source is a primary row of a run."""
    rows = [from_arrow(part) for part in RunFolder(folder).rows()]
    count, seen = np.zeros(len(truth["ra"]), int), np.zeros(len(truth["ra"]), int)
    signal = np.zeros(len(count))
    inside = np.zeros(len(count))
    index = {key: k for k, key in enumerate(zip(truth["ra"].tolist(), truth["dec"].tolist(), strict=True))}
    primaries = matched = 0
    for place in sorted((folder.parent / "images").iterdir()):
        image = read_field(place / "legacy_r.fits")
        x, y = image.wcs.all_world2pix(truth["ra"], truth["dec"], 0)
        own = np.minimum(np.minimum(x, image.shape[1] - 1 - x), np.minimum(y, image.shape[0] - 1 - y))
        inside = np.maximum(inside, own)
        seen_truth = as_truth(place / "legacy_truth.fits")
        for key, snr in seen_truth.items():
            signal[index[key]] = max(signal[index[key]], snr)
    for table in rows:
        primaries += int(np.sum(table["primary"]))
        known = table[np.isfinite(table["truth_ra"])]
        matched += int(np.sum(known["primary"]))
        for ra, dec, first in zip(
            known["truth_ra"].value, known["truth_dec"].value, known["primary"], strict=True
        ):
            k = index[float(ra), float(dec)]
            seen[k] += 1
            count[k] += bool(first)
    wanted = (signal > BRIGHT) & (inside > 10)
    several = seen > 1
    return {
        "rows": sum(map(len, rows)),
        "primary": primaries,
        "primary_matched": matched,
        "bright": int(wanted.sum()),
        "bright_found": int((wanted & (seen > 0)).sum()),
        "bright_once": int((wanted & (count == 1)).sum()),
        "bright_found_not_primary": int((wanted & (seen > 0) & (count == 0)).sum()),
        "in_several": int(several.sum()),
        "in_several_once": int((several & (count == 1)).sum()),
        "in_several_never": int((several & (count == 0)).sum()),
        "twice_primary": int((count > 1).sum()),
        "closest_primaries_arcsec": closest(rows),
    }


def as_truth(path: Path) -> dict[tuple[float, float], float]:
    """Signal-to-noise by place of the true sources of a field."""
    from isolux.io.tables import read_table

    table = read_table(path)
    ra, dec = (np.asarray(getattr(table[name], "value", table[name])) for name in ("ra", "dec"))
    return dict(
        zip(zip(ra.tolist(), dec.tolist(), strict=True), np.asarray(table["snr_r"]).tolist(), strict=True)
    )


def closest(rows: list) -> list[int]:
    """How many primary rows of one field have one of another field within 0.3, 0.5 and 1 arcsec."""
    place = [np.stack([t["ra"].value, t["dec"].value], 1)[np.asarray(t["primary"])] for t in rows]
    found = np.zeros(3, int)
    for k, own in enumerate(place):
        others = np.concatenate([p for j, p in enumerate(place) if j != k])
        for one in own:
            nearest = 3600 * separations((one[0], one[1]), others).min()
            found += nearest < np.array([0.3, 0.5, 1.0])
    return found.tolist()


def section(found: dict) -> str:
    """The section of RESULTS.md."""
    text = TEXT.format(
        **{name: found[name] for name in ("date", "processor", "side", "step", "sources", "rows", "primary")},
        command=found["command"],
        commit=found["commit"],
        fields=ACROSS * DOWN,
        across=ACROSS,
        down=DOWN,
        faint=FAINT,
    )
    head = ["workers", "fields an hour", "sources a second", "wall s", "CPU s a field", "workers busy"]
    head += ["of that, measuring", "peak memory of a worker, MB"]
    lines = []
    for one in found["runs"]:
        wall, parts = one["wall"], one["parts"]
        lines.append(
            [
                str(one["workers"]),
                f"{3600 * parts / wall:.0f}",
                f"{one['rows'] / wall:.2f}",
                f"{wall:.0f}",
                f"{one['cpu'] / parts:.1f}",
                f"{100 * one['busy']:.0f} %",
                f"{100 * one['measuring']:.1f} %",
                f"{one['memory'] / 2**20:.0f}",
            ]
        )
    said = "the same" if found["same_bytes"] else "NOT the same"
    same = f"All runs gave {said} bytes. " if len(found["runs"]) > 1 else ""
    once = [
        ["with a signal-to-noise above 20, 10 pixels from the outer edges", str(found["bright"])],
        ["of these found in any field", str(found["bright_found"])],
        ["of these primary exactly once", str(found["bright_once"])],
        ["found, but not primary anywhere", str(found["bright_found_not_primary"])],
        ["of any brightness, found in several fields", str(found["in_several"])],
        ["of these primary exactly once", str(found["in_several_once"])],
        ["of these primary nowhere", str(found["in_several_never"])],
        ["primary more than once", str(found["twice_primary"])],
    ]
    near = ", ".join(map(str, found["closest_primaries_arcsec"]))
    return "\n\n".join(
        [
            text,
            tables.markdown(head, lines),
            f"{same}Memory is the largest that a worker held at any time, PyTorch included. {found['note']}".strip(),
            "True sources and primary rows:",
            tables.markdown(["true sources", "number"], once),
            f"Primary rows that have one of another field within 0.3, 0.5 and 1 arcsec, whatever they are: {near}.",
        ]
    )


if __name__ == "__main__":
    main()
