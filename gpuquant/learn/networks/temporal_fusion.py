"""The temporal fusion transformer: which features matter, then which bars."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from gpuquant.data.arguments import scalar, whole_number
from gpuquant.learn.attention import check_sizes


class TemporalFusion(nn.Module):
    """At each bar the features are weighed by a softmax, which an LSTM reads; the last bar attends
    to all bars of the window, and the outputs are linear in what it finds. Every part has a gate
    that can close it.

    Parameters
    ----------
    width : int
        Numbers of a bar; a multiple of `heads`.
    heads : int
        Of attention; they share what they read and differ in where.
    outputs : int
        Numbers for each window: one, or as many as the loss needs.
    dropout : float
        Share of the numbers before each gate that training leaves out.
    window, features : int, optional
        Bars, and features of a bar; a learner fills them in.

    Notes
    -----
    Without the paper's static and future covariates, and with one gated unit for all embedded
    features.

    References
    ----------
    Lim, Arik, Loeff and Pfister (2021), sections 4.1 to 4.5.
    """

    learning_rate: ClassVar[float] = 1e-2

    def __init__(
        self,
        width: int = 32,
        heads: int = 4,
        outputs: int = 1,
        dropout: float = 0.1,
        window: int | None = None,
        features: int | None = None,
    ) -> None:
        super().__init__()
        check_sizes("TemporalFusion", width, heads, 1, outputs)
        scalar("TemporalFusion dropout", dropout, high=0.9, closed=True)
        self.width, self.heads, self.outputs, self.dropout = width, heads, outputs, dropout
        self.window, self.features = window, features
        if window is not None and features is not None:
            whole_number("TemporalFusion window", window)
            whole_number("TemporalFusion features", features)
            self.slope = nn.Parameter(torch.randn(features, width))
            self.level = nn.Parameter(torch.randn(features, width))
            self.weigh = _GatedUnit(features * width, width, features, dropout)
            self.embed = _GatedUnit(width, width, width, dropout)
            self.recurrent = nn.LSTM(width, width, batch_first=True)
            self.after_recurrent = _Gate(width, dropout)
            self.query = nn.Linear(width, width)
            self.key = nn.Linear(width, width)
            self.value = nn.Linear(width, width // heads)
            self.join = nn.Linear(width // heads, width)
            self.after_attention = _Gate(width, dropout)
            self.refine = _GatedUnit(width, width, width, dropout)
            self.last = nn.Linear(width, outputs)

    def build(self, window: int, features: int) -> TemporalFusion:
        """The same network, made for windows of this shape, freshly initialised."""
        return TemporalFusion(self.width, self.heads, self.outputs, self.dropout, window, features)

    def forward(self, x: Tensor) -> Tensor:
        """Windows (batch, bars, features) to (batch, outputs)."""
        h, _ = self._selected(x)
        h = self.after_recurrent(self.recurrent(h)[0], h)
        found, _ = self._attended(h)
        return self.last(self.refine(self.after_attention(found, h[:, -1])))

    def explain(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What it looks at: the weights of features at each bar, shape (batch, bars, features), and
        those of bars, shape (batch, bars); each sums to one.
        """
        h, features = self._selected(x)
        return features, self._attended(self.after_recurrent(self.recurrent(h)[0], h))[1]

    def _selected(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The weighted mean of the embedded features of each bar, and the weights."""
        each = x[..., None] * self.slope + self.level
        weights = torch.softmax(self.weigh(each.flatten(2)), -1)
        return (weights[..., None] * self.embed(each)).sum(2), weights

    def _attended(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """What the last bar finds in all bars, and how much it looks at each."""
        query = self.query(h[:, -1:]).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key = self.key(h).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        score = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        weights = torch.softmax(score, -1).mean(1)[:, 0]
        return self.join((weights[:, None] @ self.value(h))[:, 0]), weights


class _Gate(nn.Module):
    """A gated linear unit, added to what was there before, and normalised."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.both, self.norm = nn.Linear(width, 2 * width), nn.LayerNorm(width)

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """Numbers of the last axis to as many."""
        return self.norm(before + nn.functional.glu(self.both(self.drop(x)), -1))


class _GatedUnit(nn.Module):
    """A gated residual network: two layers behind a gate that can leave them out."""

    def __init__(self, given: int, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(given, width), nn.Linear(width, outputs)
        self.past = nn.Identity() if given == outputs else nn.Linear(given, outputs)
        self.gate = _Gate(outputs, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers of the last axis to `outputs`."""
        return self.gate(self.second(nn.functional.elu(self.first(x))), self.past(x))
