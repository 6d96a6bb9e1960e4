"""What training a strategy leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.errors import NotTrained
from gpuquant.forecast import Forecast
from gpuquant.meter import Rates, Usage
from gpuquant.shown import Shown
from gpuquant.validation.splits import Fold

if TYPE_CHECKING:
    import pandas as pd

POINT = 0.01  # of information coefficient
WALK_FORWARD = "walk-forward: every model is of the past alone"
LATER_DATA = "cross-validated: models have seen later data, which no trader had"


@dataclass(frozen=True)
class Trained(Shown):
    """The result of training.

    Attributes
    ----------
    states : list
        The model of each fold.
    forecast : Forecast
        Forecasts for every test date, by the model that was trained before that date.
    information : array, shape (bars,)
        Information coefficient of each test bar.
    ic : tuple of float
        Mean information coefficient and its standard error; see `forecast.mean_information`.
    sample : str
        How its forecasts are out of sample: WALK_FORWARD or LATER_DATA.
    folds : list of list of str
        Of each fold its first and its last training date, and its first test date.
    seconds : mapping
        Run time of each feature and of the training.
    usage : Usage, optional
        What training took of the machine; None after a load.
    models : int
        That were trained: members of all new folds.
    """

    states: list[Any]
    forecast: Forecast
    information: np.ndarray
    ic: tuple[float, float]
    sample: str
    folds: list[list[str]]
    seconds: Mapping[str, float] = field(default_factory=dict)
    usage: Usage | None = None
    models: int = 0

    def cost(self, rates: Rates | None = None) -> pd.DataFrame:
        """What training took: seconds, joules of the host and of the GPU and their sum, and by
        rates money and grams of CO2; in all, for each model, and for each point of information
        coefficient (0.01). What cannot be read is NaN, and so is a point where there is none.

        Parameters
        ----------
        rates : Rates, optional
            Of `gpuquant.meter`: what the machine costs.

        Raises
        ------
        NotTrained
            The models were loaded: nobody measured them here.
        """
        import pandas as pd

        if self.usage is None:
            raise NotTrained("these models were loaded: what their training took is not known")
        used = self.usage
        total = {
            "seconds": used.seconds,
            "joules_host": used.host,
            "joules_gpu": used.gpu,
            "joules": used.joules,
            **used.cost(rates or Rates()),
        }
        points = self.ic[0] / POINT if self.ic[0] > 0.0 else float("nan")
        frame = pd.DataFrame({"total": total}).astype(float)
        frame["per_model"] = frame["total"] / (self.models or float("nan"))
        frame["per_ic_point"] = frame["total"] / points
        frame.attrs.update(joules_source=used.source, device=used.device)
        return frame


def dates_of(folds: Sequence[Fold], dates: np.ndarray) -> list[list[str]]:
    """The dates by which folds are told apart; see `Trained.folds`."""
    return [
        [str(dates[k]) for k in (fold.train.min(), fold.train.max(), fold.test.min())]
        for fold in folds
    ]


def sample_of(folds: Sequence[Fold]) -> str:
    """How the test bars of folds are out of sample."""
    past = all(fold.train.max() < fold.test.min() for fold in folds)
    return WALK_FORWARD if past else LATER_DATA
