"""Windows: the features of a panel stay on the device. A batch is two integer vectors, of assets
and of last bars; only `gather` copies features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gpuquant.device import Device
from gpuquant.device.traffic import crossed
from gpuquant.errors import DataError, DeviceUnavailable
from gpuquant.shown import Shown


def torch_device(device: Device) -> str:
    """The name that torch has for `device`.

    Raises
    ------
    DeviceUnavailable
        The device is a GPU and this torch has none.
    """
    if device.kind != "cuda":
        return "cpu"
    if not torch.cuda.is_available():
        raise DeviceUnavailable(
            f"networks cannot run on {device.name}: torch {torch.__version__} finds no "
            "GPU; install a torch built for CUDA, or ask for device='cpu'"
        )
    return device.name


@dataclass(frozen=True)
class Standardizer(Shown):
    """Mean and deviation of each feature over the training bars, shape (columns,)."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, rows: np.ndarray) -> Standardizer:
        """Learnt from the training `rows` of features (bars, assets, columns) alone."""
        if values.ndim != 3:
            raise DataError(f"features have shape {values.shape}: must be (bars, assets, columns)")
        training = values[rows].reshape(-1, values.shape[2])
        training = training[np.isfinite(training).all(axis=1)]
        if not len(training):
            raise DataError(
                "no training bar has every feature: the history is shorter than the "
                "features' lookback"
            )
        deviation = training.std(axis=0)
        return cls(training.mean(axis=0), np.where(deviation > 0, deviation, 1.0))


@dataclass(frozen=True)
class Windows(Shown):
    """Standardised features on a device, and the windows ending at any bar and asset.

    Parameters
    ----------
    features : Tensor, shape (assets, bars, columns)
        Finite; unknown values are zero, the mean.
    known : Tensor of bool, shape (assets, bars)
        Where every feature of the bar was known.
    bars : int
        Length of a window.
    """

    features: Tensor
    known: Tensor
    bars: int

    @classmethod
    def of(cls, values: np.ndarray, scale: Standardizer, bars: int, device: str) -> Windows:
        """From raw features (bars, assets, columns), standardised; values beyond five deviations
        are drawn in to five.
        """
        known = np.isfinite(values).all(axis=2)
        standard = (values - scale.mean) / scale.deviation
        clean = np.where(np.isfinite(standard), np.clip(standard, -5.0, 5.0), 0.0).astype(
            np.float32
        )
        moved = np.ascontiguousarray(clean.transpose(1, 0, 2))
        crossed("up", "features", moved.nbytes)
        return cls(
            torch.from_numpy(moved).to(device),
            torch.from_numpy(np.ascontiguousarray(known.T)).to(device),
            bars,
        )

    def gather(self, assets: Tensor, ends: Tensor) -> Tensor:
        """Windows (batch, bars, columns) ending at bars `ends` of `assets`; both of shape
        (batch,).
        """
        if self.bars == 1:
            return self.features[assets, ends][:, None, :]
        return self.features.unfold(1, self.bars, 1)[assets, ends - self.bars + 1].transpose(1, 2)
