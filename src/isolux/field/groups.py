"""Which sources are fitted together: neighbours whose light overlaps, in groups of bounded size.

Two sources are linked where their ellipses touch,

    d < r_1(phi) + r_2(phi + 180 deg),

with r the radius of an ellipse in the direction of the other source. Links are taken in the order of d / (r_1 + r_2),
the closest pairs first, and one that would make a group larger than the bound is left out (single-linkage clustering,
cut by size). Sources that are linked but not in one group see each other as light that has been subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree


def ellipse_radius(a: np.ndarray, b: np.ndarray, theta: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Radius of ellipses in a direction; both angles in degrees, counter-clockwise from +y."""
    turn = np.radians(angle - theta)
    return a * b / np.sqrt((b * np.cos(turn)) ** 2 + (a * np.sin(turn)) ** 2)


def links(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (link, 2) of sources whose ellipses touch, and how close they are: 1 where they just do; closest first."""
    if len(x) < 2:
        return np.zeros((0, 2), int), np.zeros(0)
    pairs = []
    tree = cKDTree(np.stack([x, y], 1))
    order = np.argsort(a)
    # Each source looks as far as it and one no larger than itself can touch; the larger of two finds the smaller.
    rank = np.empty(len(a), int)
    rank[order] = np.arange(len(a))
    for k in order:
        near = np.array(tree.query_ball_point([x[k], y[k]], 2 * a[k]))
        smaller = near[rank[near] < rank[k]]
        pairs.append(np.stack([np.full(len(smaller), k), smaller], 1))
    found = np.concatenate(pairs)
    one, two = found.T
    across, up = x[two] - x[one], y[two] - y[one]
    angle = np.degrees(np.arctan2(-across, up))
    reach = ellipse_radius(a[one], b[one], theta[one], angle) + ellipse_radius(
        a[two], b[two], theta[two], angle
    )
    closeness = np.hypot(across, up) / np.maximum(reach, 1e-9)
    touching = closeness < 1
    found, closeness = found[touching], closeness[touching]
    first = np.lexsort((found.min(1), found.max(1), closeness))
    return found[first], closeness[first]


def group_sources(
    x: np.ndarray, y: np.ndarray, a: np.ndarray, b: np.ndarray, theta: np.ndarray, most: int
) -> list[tuple[int, ...]]:
    """Groups of sources that are fitted together.

    Parameters
    ----------
    x, y : numpy.ndarray
        (source,): positions in pixels.
    a, b, theta : numpy.ndarray
        (source,): semi-axes in pixels of the ellipse that holds most of the light; degrees, counter-clockwise from +y.
    most : int
        Sources of a group at most.

    Returns
    -------
    list of tuple of int
        Numbers of sources; each source is in exactly one group. Within a group they are in order.
    """
    owner = np.arange(len(x))
    members: dict[int, list[int]] = {k: [k] for k in range(len(x))}
    for one, two in links(x, y, a, b, theta)[0]:
        first, second = sorted((owner[one], owner[two]))
        if first == second or len(members[first]) + len(members[second]) > most:
            continue
        for k in members[second]:
            owner[k] = first
        members[first] += members.pop(second)
    return [tuple(sorted(group)) for group in members.values()]


def sizes(groups: Sequence[tuple[int, ...]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Number (source,) of each source's group, from 0, and how many are in it."""
    number, size = np.zeros(count, int), np.ones(count, int)
    for place, group in enumerate(groups):
        number[list(group)] = place
        size[list(group)] = len(group)
    return number, size
