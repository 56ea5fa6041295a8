"""Several bands of the same galaxies fitted at the same time, and light measured with a shape from another band."""

from isolux.bands.fit import fit_bands
from isolux.bands.photometry import forced
from isolux.bands.result import BandsResult

__all__ = ["BandsResult", "fit_bands", "forced"]
