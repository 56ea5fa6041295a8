"""Pix2Prof's parts as they are when nothing is learned any more: the same numbers, with less work.

A normalisation whose mean and variance are fixed is a factor and an offset, which go into the convolution before it;
images lie with their channels last, as convolutions on CPUs want them. The recurrent units are their equations (Cho et
al. 2014, arXiv:1406.1078, in the form of :class:`torch.nn.GRU`),

    r, z = sigmoid(W x + U h + b),   n = tanh(V x + c + r (T h + d)),   h' = n + z (h - n)

with two products of matrices a unit.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from isolux.nets.resnet import Block, ResNet18
from isolux.types import PerGalaxy, Tensor


def folded(encoder: ResNet18) -> nn.Module:
    """An encoder in evaluation mode without its normalisations."""
    made = copy.deepcopy(encoder)
    made.stem, made.stem_norm = _fused(made.stem, made.stem_norm), nn.Identity()  # type: ignore[assignment]
    for block in made.blocks:
        assert isinstance(block, Block)
        block.first, block.first_norm = _fused(block.first, block.first_norm), nn.Identity()  # type: ignore[assignment]
        block.second, block.second_norm = _fused(block.second, block.second_norm), nn.Identity()  # type: ignore[assignment]
        if isinstance(block.shortcut, nn.Sequential):
            block.shortcut = _fused(*block.shortcut)
    return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _fused(convolution: nn.Module, norm: nn.Module) -> nn.Conv2d:
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)


class Product:
    """x W^T + b with weights that are laid out once for many products, where the machine's library does that.

    Parameters
    ----------
    weight, bias : Tensor
        (out, in) and (out,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        plain = weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.shape[1] > 1
        self.laid_out = plain and torch.backends.mkldnn.is_available()
        with torch.no_grad():
            self.weight, self.bias = ((t.to_mkldnn() if self.laid_out else t) for t in (weight, bias))

    def __call__(self, x: Tensor) -> Tensor:
        """(galaxy, in) to (galaxy, out)."""
        if self.laid_out:
            return functional.linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
        return functional.linear(x, self.weight, self.bias)


class Units:
    """Stacked gated recurrent units, a step at a time.

    Parameters
    ----------
    units : nn.GRU
        Of one direction.
    """

    def __init__(self, units: nn.GRU) -> None:
        self.gates = 2 * units.hidden_size
        self.layers = [
            [
                Product(getattr(units, f"weight_{kind}_l{k}"), getattr(units, f"bias_{kind}_l{k}"))
                for kind in ("ih", "hh")
            ]
            for k in range(units.num_layers)
        ]

    def step(self, said: Tensor, state: Tensor) -> Tensor:
        """New state (layer, galaxy, unit) after an input (galaxy, 1); the last layer is what they say."""
        new, x = [], said
        for h, (inner, own) in zip(state, self.layers, strict=True):
            given, kept = inner(x), own(h)
            reset, keep = (given[:, : self.gates] + kept[:, : self.gates]).sigmoid_().chunk(2, 1)
            fresh = torch.addcmul(given[:, self.gates :], reset, kept[:, self.gates :]).tanh_()
            x = torch.lerp(fresh, h, keep)
            new.append(x)
        return torch.stack(new)


class Halting:
    """When the last ``window`` values of a galaxy have a standard deviation of at most ``spread``; by running sums."""

    def __init__(self, count: int, window: int, spread: float, device: torch.device) -> None:
        self.window, self.spread = window, spread
        self.kept = torch.zeros(count, window, dtype=torch.float64, device=device)
        self.total = torch.zeros(count, dtype=torch.float64, device=device)
        self.square = torch.zeros(count, dtype=torch.float64, device=device)
        self.number = 0

    def add(self, values: PerGalaxy) -> Tensor:
        """Take in the next value of each galaxy; (galaxy,) of bool: whether it halts."""
        place = self.number % self.window
        new, old = values.double(), self.kept[:, place].clone()
        self.kept[:, place] = new
        self.total += new - old
        self.square += new.square() - old.square()
        self.number += 1
        if self.number < self.window or self.spread < 0:
            return torch.zeros_like(new, dtype=torch.bool)
        variance = self.square / self.window - (self.total / self.window).square()
        return variance <= self.spread**2 + TINY

    def select(self, rows: Tensor) -> None:
        """Go on with some of the galaxies."""
        self.kept, self.total, self.square = self.kept[rows], self.total[rows], self.square[rows]


TINY = 1e-12
"""Rounding of a variance of values about 10."""
