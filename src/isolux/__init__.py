"""Isolux measures the light of galaxies: batches of profiles fitted on a CPU or a GPU."""

from importlib.metadata import version

from isolux.batch import Batch
from isolux.errors import FitWarning, InputError, MissingExtra
from isolux.fit import fit
from isolux.parameters import Column, Fixed, Free, Parameter, Tied
from isolux.profiles import (
    Exponential,
    Ferrer,
    FlatSky,
    Gaussian,
    ImageProfile,
    King,
    Moffat,
    PixelGrid,
    PlaneSky,
    PointSource,
    RadialProfile,
    Sersic,
    Spline,
)
from isolux.result import Result
from isolux.scene import Scene
from isolux.solve import FirstOrder, LevenbergMarquardt
from isolux.stamp import Stamp
from isolux.status import Flag, Status

__version__ = version("isolux")

__all__ = [
    "Batch",
    "Column",
    "Exponential",
    "Ferrer",
    "FirstOrder",
    "FitWarning",
    "Fixed",
    "Flag",
    "FlatSky",
    "Free",
    "Gaussian",
    "ImageProfile",
    "InputError",
    "King",
    "LevenbergMarquardt",
    "MissingExtra",
    "Moffat",
    "Parameter",
    "PixelGrid",
    "PlaneSky",
    "PointSource",
    "RadialProfile",
    "Result",
    "Scene",
    "Sersic",
    "Spline",
    "Stamp",
    "Status",
    "Tied",
    "fit",
]
