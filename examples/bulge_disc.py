"""A bulge and a disc around one centre, both Sérsic profiles: appendix B of Chen et al. (2024).

The bulge starts at index 4 and the disc at 1, and the disc takes the bulge's centre. All else starts from the
image. Prints, for each galaxy, the light's fraction in the bulge beside the true one, and writes a catalogue.

python examples/bulge_disc.py OUT
"""

import sys
from pathlib import Path

import isolux
from isolux import Free, Scene, Sersic, Tied
from isolux.profiles import FlatSky
from isolux.simulate import Observation, mock_stamps

SCENE = Scene(
    bulge=Sersic(sersic_index=Free(4.0, lower=1.5, upper=8.0)),
    disc=Sersic(x=Tied("bulge.x"), y=Tied("bulge.y"), sersic_index=1.0),
    sky=FlatSky(),
)


def main(folder: Path) -> None:
    """Fit six galaxies and write their catalogue into the folder."""
    deep = Observation(sky_sigma=(0.004, 0.006), gain=10000.0)
    batch, truth = mock_stamps(6, "bulge+disc", seed=3, observation=deep)
    result = isolux.fit(batch, SCENE)
    true = 1 / (1 + 10 ** (0.4 * (truth["bulge.magnitude"] - truth["disc.magnitude"])))
    for k, name in enumerate(result.id):
        fraction, error = result["bulge.fraction"][k], result.error("bulge.fraction")[k]
        print(f"{name}: B/T = {fraction:.3f} +- {error:.3f}, true {true[k]:.3f}; {result.describe(k)}")
    result.table().write(folder / "bulge_disc.fits", overwrite=True)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    main(out)
