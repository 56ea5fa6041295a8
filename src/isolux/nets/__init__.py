"""Networks that read surface-brightness profiles off images, and how they are trained. See docs/networks.md.

:func:`read_profiles` is the way in; :mod:`isolux.nets.profile` is the network, :mod:`isolux.nets.pix2prof` the
published one, :mod:`isolux.nets.train` the loop that trains both.
"""

from isolux.nets.card import Card
from isolux.nets.pix2prof import Pix2Prof, Pix2ProfConfig
from isolux.nets.profile import PolarNet
from isolux.nets.profile_draw import Universe
from isolux.nets.read import read_profiles
from isolux.nets.train import TrainOptions, train

__all__ = [
    "Card",
    "Pix2Prof",
    "Pix2ProfConfig",
    "PolarNet",
    "TrainOptions",
    "Universe",
    "read_profiles",
    "train",
]
