"""Launches of several kernels on the same draws, which share the outputs of a simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gpuquant.pricing.kernels.build import Pair
from gpuquant.pricing.kernels.launch import Launch, Means, Rows
from gpuquant.pricing.time_grid import Grid


class Part(NamedTuple):
    """One kernel's launch, and which of all outputs its own are, in order."""

    launch: Launch
    outputs: np.ndarray


@dataclass(frozen=True)
class Launches:
    """The launches of a simulation. The first tells the price.

    Parameters
    ----------
    parts : tuple of Part
        Over the same rows, grid and streams.
    """

    parts: tuple[Part, ...]

    @property
    def pair(self) -> Pair:
        """The pair of the first."""
        return self.parts[0].launch.pair

    @property
    def rows(self) -> Rows:
        """What all simulate."""
        return self.parts[0].launch.rows

    @property
    def grid(self) -> Grid:
        """When each row steps and is observed."""
        return self.rows.grid

    @property
    def outputs(self) -> int:
        """How many outputs all have together."""
        return sum(len(part.outputs) for part in self.parts)

    @property
    def walks(self) -> int:
        """Walks of each path. One walk tells the price and the derivatives of the path."""
        return sum(part.launch.pair.variants for part in self.parts)

    def tiles(self, paths: np.ndarray) -> np.ndarray:
        """How many tiles the paths of each row are in all launches, shape (n,)."""
        return np.asarray(sum(part.launch.tiles(paths) for part in self.parts))

    def each(self, change: Callable[[Launch], Launch]) -> Launches:
        """The same of changed launches."""
        return Launches(tuple(Part(change(part.launch), part.outputs) for part in self.parts))

    def run(self, paths: np.ndarray, betas: np.ndarray, *given: Any, **options: Any) -> Means:
        """`Launch.run` of all; `betas`, of shape (n, outputs) or with k times as many columns, are
        in the order of all outputs, and so are the means.
        """
        times = betas.shape[1] // self.outputs
        whole = Means(*np.empty((4, *betas.shape)))
        for launch, outputs in self.parts:
            columns = (np.arange(times)[:, None] * self.outputs + outputs).ravel()
            found = launch.run(paths, betas[:, columns], *given, **options)
            for all_, own in zip(whole, found, strict=True):
                all_[:, columns] = own
        return whole
