"""A catalogue in five lines: simulated stamps, a Sérsic galaxy on a flat sky, fitted and written.

python examples/five_lines.py OUT
"""

import sys
from pathlib import Path

import isolux
from isolux.profiles import FlatSky
from isolux.simulate import Observation, mock_stamps


def main(folder: Path) -> None:
    """Fit eight galaxies and write their catalogue into the folder."""
    batch, _ = mock_stamps(8, seed=1, observation=Observation(size=96))
    scene = isolux.Scene(galaxy=isolux.Sersic(), sky=FlatSky())
    result = isolux.fit(batch, scene)
    print(
        result.table()["id", "galaxy_magnitude", "galaxy_effective_radius", "galaxy_sersic_index", "status"]
    )
    result.table().write(folder / "catalogue.fits", overwrite=True)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    main(out)
