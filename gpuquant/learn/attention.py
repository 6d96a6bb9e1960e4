"""Self-attention, of which transformers over time and over assets are made."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpuquant.data.arguments import whole_number
from gpuquant.errors import InputError


def check_sizes(name: str, width: int, heads: int, layers: int, outputs: int) -> None:
    """Refuse sizes that no network of blocks can have."""
    whole_number(f"{name} width", width, 1, 1 << 15)
    whole_number(f"{name} heads", heads, 1, width)
    whole_number(f"{name} layers", layers, 1, 64)
    whole_number(f"{name} outputs", outputs, 1, 1 << 15)
    if width % heads:
        raise InputError(f"{name} width = {width}: must be a multiple of heads, {heads}")


class Block(nn.Module):
    """A block of a transformer: self-attention, then a perceptron, each after a normalisation and
    added to what it was given.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.split, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Sequences (batch, length, width) to the same shape; nobody sees a place outside the mask,
        of shape (batch, length).
        """
        parts = self.split(self.before(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = (part.transpose(1, 2) for part in parts.unbind(-3))
        score = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        if mask is not None:
            score = score + torch.where(mask, 0.0, -1e9)[:, None, None, :]
        seen = torch.softmax(score, -1) @ value
        x = x + self.join(seen.transpose(1, 2).flatten(2))
        return x + self.down(nn.functional.gelu(self.up(self.between(x))))
