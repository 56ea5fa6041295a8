"""Isolux measures the light of galaxies: batches of profiles fitted on a CPU or a GPU.

A name is imported from its module when it is first used, so that ``isolux --help`` does not wait for PyTorch.
"""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isolux.bands import BandsResult as BandsResult
    from isolux.bands import fit_bands as fit_bands
    from isolux.bands import forced as forced
    from isolux.batch import Batch as Batch
    from isolux.errors import FitWarning as FitWarning
    from isolux.errors import InputError as InputError
    from isolux.errors import MissingExtra as MissingExtra
    from isolux.export import export as export
    from isolux.field.image import FieldImage as FieldImage
    from isolux.field.options import FieldOptions as FieldOptions
    from isolux.fit import fit as fit
    from isolux.io.catalogue import read_catalogue as read_catalogue
    from isolux.io.catalogue import write_catalogue as write_catalogue
    from isolux.io.field_image import read_field as read_field
    from isolux.io.source import StampSource as StampSource
    from isolux.io.stamps import read_stamps as read_stamps
    from isolux.io.stream import iter_batches as iter_batches
    from isolux.loss import Cash as Cash
    from isolux.loss import Huber as Huber
    from isolux.loss import StudentT as StudentT
    from isolux.measure import measure as measure
    from isolux.measure_field import measure_field as measure_field
    from isolux.nonparametric import measure_shapes as measure_shapes
    from isolux.options import RunOptions as RunOptions
    from isolux.parameters import Column as Column
    from isolux.parameters import Fixed as Fixed
    from isolux.parameters import Free as Free
    from isolux.parameters import Parameter as Parameter
    from isolux.parameters import Tied as Tied
    from isolux.priors import GaussianPrior as GaussianPrior
    from isolux.priors import LogNormalPrior as LogNormalPrior
    from isolux.priors import UniformPrior as UniformPrior
    from isolux.profiles import Exponential as Exponential
    from isolux.profiles import Ferrer as Ferrer
    from isolux.profiles import FlatSky as FlatSky
    from isolux.profiles import Gaussian as Gaussian
    from isolux.profiles import ImageProfile as ImageProfile
    from isolux.profiles import King as King
    from isolux.profiles import Moffat as Moffat
    from isolux.profiles import PixelGrid as PixelGrid
    from isolux.profiles import PlaneSky as PlaneSky
    from isolux.profiles import PointSource as PointSource
    from isolux.profiles import RadialProfile as RadialProfile
    from isolux.profiles import Sersic as Sersic
    from isolux.profiles import Spline as Spline
    from isolux.psf_model import PsfModel as PsfModel
    from isolux.report.page import write_report as write_report
    from isolux.result import Result as Result
    from isolux.scene import Scene as Scene
    from isolux.solve import FirstOrder as FirstOrder
    from isolux.solve import LevenbergMarquardt as LevenbergMarquardt
    from isolux.solve import Sampler as Sampler
    from isolux.stamp import Stamp as Stamp
    from isolux.status import Flag as Flag
    from isolux.status import Status as Status
    from isolux.survey.run import survey as survey

try:
    __version__ = version("isolux")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"

_HOMES = {
    "bands": "BandsResult fit_bands forced",
    "batch": "Batch",
    "errors": "FitWarning InputError MissingExtra",
    "export": "export",
    "field.image": "FieldImage",
    "field.options": "FieldOptions",
    "fit": "fit",
    "io.catalogue": "read_catalogue write_catalogue",
    "io.field_image": "read_field",
    "io.source": "StampSource",
    "io.stamps": "read_stamps",
    "io.stream": "iter_batches",
    "loss": "Cash Huber StudentT",
    "measure": "measure",
    "measure_field": "measure_field",
    "nonparametric": "measure_shapes",
    "options": "RunOptions",
    "parameters": "Column Fixed Free Parameter Tied",
    "priors": "GaussianPrior LogNormalPrior UniformPrior",
    "profiles": "Exponential Ferrer FlatSky Gaussian ImageProfile King Moffat PixelGrid PlaneSky PointSource "
    "RadialProfile Sersic Spline",
    "psf_model": "PsfModel",
    "report.page": "write_report",
    "result": "Result",
    "scene": "Scene",
    "solve": "FirstOrder LevenbergMarquardt Sampler",
    "stamp": "Stamp",
    "status": "Flag Status",
    "survey.run": "survey",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}
__all__ = sorted(_HOME)


class _Package(ModuleType):
    """A module that finds its public names when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'isolux' has no attribute {name!r}")
        value = getattr(import_module(f"isolux.{_HOME[name]}"), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a name; importing ``isolux.fit`` does not put the module where the function is."""
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_HOME})


sys.modules[__name__].__class__ = _Package
