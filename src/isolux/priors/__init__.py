"""Priors: what is known of a parameter, or of a function of parameters, before the image is looked at.

Each prior is one more residual r of the least-squares problem. With f the parameter or the function,

    Gaussian     r = (f - mean) / width
    log-normal   r = log10(f / median) / dex
    uniform      r = 0 from low to high, and the distance beyond them over ``edge``

and r^2 is added to the cost. The best fit is then the mode of the posterior, its curvature holds the prior's
information, and the sum of r^2 is -2 ln of the priors' density but for a constant. A uniform prior on a free
parameter is exact: it narrows the parameter's bounds, and adds no residual.

Values are those of a scene: pixels, magnitudes of the batch's zero point, degrees.
"""

from isolux.priors.bound import Priors
from isolux.priors.kinds import GaussianPrior, LogNormalPrior, Prior, Target, UniformPrior
from isolux.priors.text import PRIORS, prior_from, priors_from

__all__ = [
    "PRIORS",
    "GaussianPrior",
    "LogNormalPrior",
    "Prior",
    "Priors",
    "Target",
    "UniformPrior",
    "prior_from",
    "priors_from",
]
