"""Run AutoProf on stamps in a folder; for an environment of its own, since it needs an older astropy.

    python isophotes_autoprof.py FOLDER [METHOD WIDTH]

Reads NAME.npy, NAME-mask.npy and NAME.json (pixel_scale, zero_point, psf_fwhm in pixels); writes NAME.result.json with
profile and CPU seconds, or why there is none. What is there already is left.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table

warnings.filterwarnings("ignore")
STEPS = [
    "mask segmentation map",
    "background",
    "psf",
    "center",
    "isophoteinit",
    "isophotefit",
    "isophoteextract",
    "checkfit",
    "writeprof",
]


def main() -> None:
    from autoprof.Pipeline import Isophote_Pipeline

    folder = Path(sys.argv[1])
    method, width = (sys.argv[2], float(sys.argv[3])) if len(sys.argv) > 3 else ("mean", 0.05)
    with tempfile.TemporaryDirectory() as work:
        pipeline = Isophote_Pipeline(loggername=f"{work}/log")
        pipeline.UpdatePipeline(new_pipeline_steps=STEPS)
        for about in sorted(folder.glob("*.json")):
            if about.name.endswith(".result.json"):
                continue
            out = about.with_suffix(".result.json")
            if not out.exists():
                out.with_suffix(".part").write_text(
                    json.dumps(measure(pipeline, about, Path(work), method, width))
                )
                out.with_suffix(".part").rename(out)


def measure(pipeline, about: Path, work: Path, method: str, width: float) -> dict:
    """The profile of one galaxy."""
    known, name = json.loads(about.read_text()), about.stem
    options = {
        "ap_image_file": str(about.with_suffix(".npy")),
        "ap_mask_file": str(about.with_name(f"{name}-mask.npy")),
        "ap_name": name,
        "ap_pixscale": known["pixel_scale"],
        "ap_zeropoint": known["zero_point"],
        "ap_set_psf": known["psf_fwhm"],
        "ap_isoaverage_method": method,
        "ap_isoclip": True,
        "ap_isoband_width": width,
        "ap_fluxunits": "intensity",
        "ap_saveto": f"{work}/",
        "ap_doplot": False,
    }
    begin = time.process_time()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            done = pipeline.Process_Image(options)
    except Exception as error:
        return {"fault": f"{type(error).__name__}: {error}", "seconds": time.process_time() - begin}
    seconds = time.process_time() - begin
    path = work / f"{name}.prof"
    if done == 1 or not path.exists():
        return {"fault": "the pipeline gave up", "seconds": seconds}
    table = Table.read(path, format="ascii.csv", comment="#")
    path.unlink()
    aux = (work / f"{name}.aux").read_text()
    place = next(line for line in aux.splitlines() if line.startswith("center x:"))
    x, y = (float(part.split(":")[1].split("pix")[0]) for part in place.split(",")[:2])
    columns = {key: np.array(table[key], float).tolist() for key in ("R", "I", "I_e", "ellip", "pa")}
    return {"seconds": seconds, "x": x, "y": y, **columns}


if __name__ == "__main__":
    main()
