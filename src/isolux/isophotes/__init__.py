"""Surface-brightness profiles along fitted isophotes, for whole batches at once.

:func:`measure_isophotes` is the way in; :mod:`isolux.isophotes.measure` is its order of things.
"""

from isolux.isophotes.colours import Colours, colour_profiles
from isolux.isophotes.measure import measure_isophotes
from isolux.isophotes.options import IsophoteOptions
from isolux.isophotes.profiles import Isophotes
from isolux.isophotes.quality import ProfileFlag, Quality

__all__ = [
    "Colours",
    "IsophoteOptions",
    "Isophotes",
    "ProfileFlag",
    "Quality",
    "colour_profiles",
    "measure_isophotes",
]
