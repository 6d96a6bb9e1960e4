"""What trained networks say: the mean forecast of an ensemble, and which features it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpuquant.errors import DataError
from gpuquant.learn import members
from gpuquant.learn.losses.base import Loss
from gpuquant.learn.programs import Program, program
from gpuquant.learn.windows import CHUNK, Names, Windows

POINTS = 64  # between the mean window and each window, for integrated gradients


@dataclass(frozen=True)
class Forecaster:
    """The trained members of an ensemble, on windows of one panel."""

    programs: list[Program]
    windows: Windows
    loss: Loss
    count: int

    @classmethod
    def of(
        cls, estimator: Any, weights: Mapping[str, Tensor], windows: Windows, loss: Loss
    ) -> Forecaster:
        """Members with these weights, each of shape (members, ...)."""
        device, shape = str(windows.resident.features.device), (windows.bars, windows.columns)
        count = len(next(iter(weights.values())))
        networks = members.ensemble(estimator, shape, 0, count, weights)
        networks = [network.eval() for network in networks]
        together = members.stackable(networks[0])
        parts = [networks] if together else [[network] for network in networks]
        made = [program(part, device, together=together) for part in parts]
        return cls(made, windows, loss, count)

    def predict(self, rows: np.ndarray) -> Tensor:
        """The mean forecast at `rows`, shape (rows, assets); NaN where a feature is unknown.

        Raises
        ------
        DataError
            An output is not finite. The message names its date and its asset.
        """
        out = self._empty(rows, ())
        with torch.no_grad():
            for part, given, known in self._parts(rows):
                mean = self._mean(given, known)
                _finite(mean, known, rows[part], self.windows.resident.names)
                out[part] = torch.where(known, mean, float("nan"))
        return out.cpu()

    def attribute(self, rows: np.ndarray) -> Tensor:
        """What each feature adds to the forecasts at `rows`, shape (rows, assets, columns), by
        integrated gradients: the features' distance from their mean times the mean slope on the
        way, over all bars of the window. They sum to the forecast less that of the mean window, up
        to the error of 64 points; of a network that sees assets side by side, those of a bar sum to
        the bar's.

        References
        ----------
        Sundararajan, Taly and Yan (2017), equation 1.
        """
        out = self._empty(rows, (self.windows.columns,))
        for part, given, known in self._parts(rows):
            total = torch.zeros_like(given)
            for point in range(POINTS):
                at = (given * ((point + 0.5) / POINTS)).requires_grad_()
                with torch.backends.cudnn.flags(enabled=False):  # its recurrent layers only train
                    told = torch.where(known, self._mean(at, known), 0.0).sum()
                    total += torch.autograd.grad(told, at)[0]
            added = (given * total / POINTS).sum(2).double()
            out[part] = torch.where(known[..., None], added, float("nan"))
        return out.cpu()

    def _empty(self, rows: np.ndarray, more: tuple[int, ...]) -> Tensor:
        features = self.windows.resident.features
        shape = (len(rows), len(features), *more)
        return torch.full(shape, float("nan"), dtype=torch.float64, device=features.device)

    def _parts(self, rows: np.ndarray) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Some of the rows at once: which, their windows, and which of these are known."""
        windows, device = self.windows, self.windows.resident.features.device
        assets = len(windows.resident.features)
        bars, columns = torch.from_numpy(rows).to(device), torch.arange(assets, device=device)
        step = max(1, CHUNK // (assets * windows.bars * windows.columns * self.count))
        whole = windows.resident.whole(windows.bars)
        for begin in range(0, len(rows), step):
            part = slice(begin, begin + step)
            ends = bars[part, None].expand(-1, assets)
            yield part, windows.gather(columns.expand(len(ends), -1), ends), whole[:, bars[part]].T

    def _mean(self, given: Tensor, known: Tensor) -> Tensor:
        outputs = torch.cat(
            [
                one.forward(
                    given.expand(one.count, *given.shape), known.expand(one.count, *known.shape)
                )
                for one in self.programs
            ]
        )
        return self.loss.forecast(outputs).double().mean(0)


def _finite(forecast: Tensor, known: Tensor, rows: np.ndarray, names: Names) -> None:
    """Refuse a forecast that is not finite though its features are known."""
    wrong = known & ~torch.isfinite(forecast)
    if bool(wrong.any()):
        row, asset = (int(k) for k in wrong.nonzero()[0])
        raise DataError(
            f"the network's output for {names.at(int(rows[row]), asset)} is "
            f"{float(forecast[row, asset])}, though its features are finite"
        )
