"""ResNet-18 (He et al. 2016, CVPR, 770; table 1 and figure 5) for images of one channel, in plain PyTorch.

A 7 x 7 convolution, then four stages of two blocks; a block is two 3 x 3 convolutions beside a shortcut. The mean over
the image that is left is a vector of 512 numbers, whatever the image's size.
"""

from __future__ import annotations

from torch import nn

from isolux.types import Images, Tensor

WIDTHS = (64, 128, 256, 512)
"""Channels of the stages."""
LATENT = WIDTHS[-1]


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outer)
        self.second = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outer)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inner != outer:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(galaxy, inner, y, x) to (galaxy, outer, y / stride, x / stride)."""
        out = self.first_norm(self.first(x)).relu()
        return (self.second_norm(self.second(out)) + self.shortcut(x)).relu()


class ResNet18(nn.Module):
    """Images (galaxy, y, x) to vectors (galaxy, 512)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, WIDTHS[0], 7, 2, 3, bias=False)
        self.stem_norm = nn.BatchNorm2d(WIDTHS[0])
        self.pool = nn.MaxPool2d(3, 2, 1)
        inner, blocks = WIDTHS[0], []
        for stage, width in enumerate(WIDTHS):
            blocks += [Block(inner, width, 1 if stage == 0 else 2), Block(width, width, 1)]
            inner = width
        self.blocks = nn.Sequential(*blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Images) -> Tensor:
        """Encode images of any size from 32 pixels."""
        x = self.pool(self.stem_norm(self.stem(images[:, None])).relu())
        return self.blocks(x).mean((2, 3))
