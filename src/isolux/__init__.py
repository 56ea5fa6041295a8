"""Isolux measures the light of galaxies: batches of profiles fitted on a CPU or a GPU."""

from importlib.metadata import version

from isolux.batch import Batch, Stamp
from isolux.errors import FitWarning, InputError, MissingExtra
from isolux.fit import fit
from isolux.parameters import Column, Fixed, Free, Parameter, Tied
from isolux.profiles import ImageProfile, RadialProfile, Sersic
from isolux.result import Result
from isolux.scene import Scene
from isolux.solve import FirstOrder, LevenbergMarquardt
from isolux.status import Flag, Status

__version__ = version("isolux")

__all__ = [
    "Batch",
    "Column",
    "FirstOrder",
    "FitWarning",
    "Fixed",
    "Flag",
    "Free",
    "ImageProfile",
    "InputError",
    "LevenbergMarquardt",
    "MissingExtra",
    "Parameter",
    "RadialProfile",
    "Result",
    "Scene",
    "Sersic",
    "Stamp",
    "Status",
    "Tied",
    "fit",
]
