"""Networks that read surface-brightness profiles and masks off images, and how they are trained. See docs/networks.md.

:func:`read_profiles` and :func:`find_masks` are the ways in; :mod:`isolux.nets.profile` is the network of profiles,
:mod:`isolux.nets.pix2prof` the published one, :mod:`isolux.nets.masks` that of masks, :mod:`isolux.nets.train` the loop
that trains all.
"""

from isolux.nets.card import Card
from isolux.nets.mask_fields import find_sources
from isolux.nets.mask_read import Masks, find_masks, mask_network
from isolux.nets.masks import MaskNet
from isolux.nets.pix2prof import Pix2Prof, Pix2ProfConfig
from isolux.nets.profile import PolarNet
from isolux.nets.profile_draw import Universe
from isolux.nets.read import read_profiles
from isolux.nets.start_use import learned_starts, start_network, start_priors
from isolux.nets.starts import StartNet
from isolux.nets.train import TrainOptions, train

__all__ = [
    "Card",
    "MaskNet",
    "Masks",
    "Pix2Prof",
    "Pix2ProfConfig",
    "PolarNet",
    "StartNet",
    "TrainOptions",
    "Universe",
    "find_masks",
    "find_sources",
    "learned_starts",
    "mask_network",
    "read_profiles",
    "start_network",
    "start_priors",
    "train",
]
