"""A point source: a star, an active nucleus, an unresolved cluster.

Its image is the PSF, shifted to its centre by a phase in Fourier space and scaled to its flux, so there is no
brightness to write.
"""

from isolux.profiles.base import PointProfile


class PointSource(PointProfile):
    """A point source at (x, y), with a magnitude or a flux."""
