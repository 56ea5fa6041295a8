"""The library of profiles, one file each. A new profile is its own file and one line in ``PROFILES``."""

from isolux.errors import unknown_name
from isolux.profiles.base import ImageProfile, PointProfile, Profile, RadialProfile
from isolux.profiles.exponential import Exponential
from isolux.profiles.ferrer import Ferrer
from isolux.profiles.gaussian import Gaussian
from isolux.profiles.king import King
from isolux.profiles.moffat import Moffat
from isolux.profiles.pixels import PixelGrid
from isolux.profiles.point import PointSource
from isolux.profiles.sersic import Sersic
from isolux.profiles.sky import FlatSky, PlaneSky
from isolux.profiles.spline import Spline

PROFILES: tuple[type[Profile], ...] = (
    Sersic,
    Exponential,
    Gaussian,
    Moffat,
    Ferrer,
    King,
    PointSource,
    FlatSky,
    PlaneSky,
    PixelGrid,
    Spline,
)
SHORT_NAMES = {"point": "pointsource", "sky": "flatsky"}


def profile_named(name: str) -> type[Profile]:
    """The profile of a name as the command line spells it: ``sersic``, ``point``, ``sky``, ``PlaneSky``.

    Parameters
    ----------
    name : str
        Name of the class in upper or lower case, ``-`` and ``_`` ignored, or a short name.

    Raises
    ------
    InputError
        For an unknown name, with the nearest known one.
    """
    known = {profile.__name__.lower(): profile for profile in PROFILES}
    known |= {short: known[full] for short, full in SHORT_NAMES.items()}
    plain = name.lower().replace("-", "").replace("_", "")
    if plain not in known:
        raise unknown_name("profile", name.lower(), known)
    return known[plain]


__all__ = [
    "PROFILES",
    "Exponential",
    "Ferrer",
    "FlatSky",
    "Gaussian",
    "ImageProfile",
    "King",
    "Moffat",
    "PixelGrid",
    "PlaneSky",
    "PointProfile",
    "PointSource",
    "Profile",
    "RadialProfile",
    "Sersic",
    "Spline",
    "profile_named",
]
