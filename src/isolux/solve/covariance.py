"""Errors from curvature: the covariance of the unknowns is the inverse of J^T W J.

Unknowns that ended at a bound are left out and have no error. Where the matrix is not positive definite, or so
ill-conditioned that its inverse is noise, there is no covariance, and the caller is told so; no sign is ever
flipped to make a variance positive.
"""

import torch

from isolux.types import Tensor

WORST_CONDITION = 1e12
"""Largest ratio of eigenvalues, after scaling the diagonal to one, that float64 inverts with 4 digits to spare."""


def covariance(hessian: Tensor, excluded: Tensor) -> tuple[Tensor, Tensor]:
    """Covariance (row, free, free) of free vectors, and (row,) of bool where it can be had.

    Parameters
    ----------
    hessian : Tensor
        (row, free, free): J^T W J.
    excluded : Tensor
        (row, free) of bool: unknowns held at a bound, whose rows and columns come out NaN.
    """
    identity = torch.eye(hessian.shape[1], dtype=hessian.dtype, device=hessian.device)
    diagonal = torch.diagonal(hessian, dim1=1, dim2=2)
    either = excluded[:, :, None] | excluded[:, None, :]
    usable = torch.isfinite(hessian).flatten(1).all(1) & ((diagonal > 0) | excluded).all(1)
    scale = (
        torch.where(excluded | ~usable[:, None], torch.ones_like(diagonal), diagonal)
        .clamp_min(1e-300)
        .rsqrt()
    )
    unit = torch.where(either, identity, hessian * scale[:, :, None] * scale[:, None, :])
    unit = torch.where(usable[:, None, None], unit, identity)
    smallest_to_largest = torch.linalg.eigvalsh(unit)
    usable = usable & (smallest_to_largest[:, 0] * WORST_CONDITION > smallest_to_largest[:, -1])
    inverse = torch.linalg.inv(torch.where(usable[:, None, None], unit, identity))
    inverse = inverse * scale[:, :, None] * scale[:, None, :]
    missing = either | ~usable[:, None, None]
    return torch.where(missing, torch.full_like(inverse, torch.nan), inverse), usable
