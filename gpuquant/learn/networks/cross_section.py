"""A transformer over the assets of a day."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.learn.attention import Block, check_sizes


class CrossSection(nn.Module):
    """Self-attention among the assets of a day: each asset's window is one place, and no place
    has a number, so that the order of assets has no effect on their outputs.

    Parameters
    ----------
    width : int
        Numbers of an asset; a multiple of `heads`.
    heads, layers : int
        Of attention.
    outputs : int
        Numbers for each asset: one, or as many as the loss needs.
    in_features : int, optional
        bars x features of a window; a learner fills it in.

    References
    ----------
    Lee et al. (2019), section 3.1: the set attention block.
    """

    stackable: ClassVar[bool] = True
    weight_decay: ClassVar[float] = 0.5  # strong, since signals in prices are weak
    cross_sectional: ClassVar[bool] = True

    def __init__(
        self,
        width: int = 32,
        heads: int = 4,
        layers: int = 1,
        outputs: int = 1,
        in_features: int | None = None,
    ) -> None:
        super().__init__()
        check_sizes("CrossSection", width, heads, layers, outputs)
        self.width, self.heads, self.layers, self.outputs = width, heads, layers, outputs
        self.in_features = in_features
        if in_features is not None:
            whole_number("CrossSection in_features", in_features)
            self.first = nn.Linear(in_features, width)
            self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
            self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, outputs)

    def build(self, window: int, features: int) -> CrossSection:
        """The same network, made for windows of this shape, freshly initialised."""
        return CrossSection(self.width, self.heads, self.layers, self.outputs, window * features)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Windows (days, assets, bars, features) and the mask of known ones (days, assets) to
        (days, assets, outputs).
        """
        h = self.first(x.flatten(2))
        for block in self.blocks:
            h = block(h, mask)
        return self.last(self.norm(h))
