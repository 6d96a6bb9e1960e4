"""Back-test results corrected for the number of trials.

A log of trials, which the deflated Sharpe ratio reads; and the probability of back-test
overfitting, for the best column of a grid.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import measures
from gpuquant.backtesting.settings import GRIDDED
from gpuquant.errors import DataError, InputError
from gpuquant.shown import Shown, identity
from gpuquant.validation import trial_log

if TYPE_CHECKING:
    import pandas as pd

_open: list[TrialLog] = []  # of the whole process, whose threads' trials are all somebody's
_checking: ContextVar[bool] = ContextVar("gpuquant_checking", default=False)


@dataclass(frozen=True)
class TrialLog(Shown):
    """Trials kept in a file, each with a hash of its description. A repeated trial counts once, and
    several processes may write to the file.

    `with TrialLog(path):` counts every column of every back-test that this process runs in the
    block, in any thread. Simulated price paths, checks for leaks and internal runs of the library
    do not count.

    Parameters
    ----------
    path : path
        A text file with a line for each trial, created at the first trial. A log of the first
        versions, in Parquet, is converted.

    Raises
    ------
    DataError
        When the file is read: a line is damaged; `mend` keeps the other lines.
    """

    path: str | Path

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike) or not os.fspath(self.path):
            raise InputError(f"trial log {self.path!r}: must be the path of a file")

    def __enter__(self) -> TrialLog:
        self.check()
        _open.append(self)
        return self

    def __exit__(self, *failure: object) -> None:
        _open.remove(self)

    def record(self, description: Any, returns: np.ndarray) -> str:
        """Add a trial and give its hash; `description` is anything JSON holds."""
        row = self._row(description, measures.sharpe(returns, 1.0), len(returns))
        self._add([row])
        return str(row["trial"])

    def record_grid(self, result: Any, description: Any = "") -> int:
        """Add every column of a back-test as a separate trial; return the number of trials so far.

        `description` says what the columns have in common; the account's settings, and the asset
        and parameters of each column, are added. If only the best columns of a grid were kept, one
        row counts all columns.
        """
        account, root = result.account, math.sqrt(result.account.periods)
        terms = {
            name: identity(getattr(account, name))
            for name in ("cost", "size", "margin", "fill", "cash", "sequential_cash")
        }
        if account.stops is not None:  # their numbers are among the parameters
            known = (
                account.stops.columns().items()
            )  # old trials lack trail_reference: its default is left out, so that hashes agree
            terms |= {
                f"stops {name}": repr(value)
                for name, value in known
                if name not in GRIDDED and (name, value[0]) != ("trail_reference", 0.0)
            }
        asked = (
            None
            if account.targets is None
            else hashlib.sha256(np.ascontiguousarray(account.wanted()).tobytes()).hexdigest()
        )
        common = {
            "what": description,
            "rule": account.rule.__name__,
            "dates": [str(account.panel.dates[k]) for k in (0, -1)],
            "targets": asked,
            **terms,
        }
        if len(result) < account.columns:
            tried = {"assets": list(account.panel.assets)} | {
                name: hashlib.sha256(values.tobytes()).hexdigest()
                for name, values in account.parameters.items()
            }
            level, spread = (result.meta[f"sharpe_{name}"] / root for name in ("mean", "spread"))
            self._add(
                [self._row({**common, **tried}, level, account.panel.bars, account.columns, spread)]
            )
            return self.trials()[0]
        labels = [
            dict(zip(result.labels, map(str, values), strict=True))
            for values in zip(*result.labels.values(), strict=True)
        ]
        ratios = result.measures["sharpe"] / root
        self._add(
            [
                self._row({**common, **own}, float(ratio), account.panel.bars)
                for own, ratio in zip(labels, ratios, strict=True)
            ]
        )
        return self.trials()[0]

    def _row(
        self, description: Any, sharpe: float, bars: int, count: int = 1, spread: float = 0.0
    ) -> dict[str, Any]:
        text = json.dumps(description, sort_keys=True, default=str)
        trial = hashlib.sha256(text.encode()).hexdigest()[:16]
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return dict(
            zip(
                trial_log.COLUMNS,
                (when, trial, text, float(sharpe), bars, count, float(spread)),
                strict=True,
            )
        )

    def _add(self, rows: list[dict[str, Any]]) -> None:
        trial_log.append(Path(self.path), rows)

    def check(self) -> None:
        """Refuse a path that cannot be written or is no log, before the work that it is to
        record.
        """
        trial_log.check(Path(self.path))

    def mend(self) -> int:
        """Keep the good lines of a damaged log, still count the lost trials, and return their
        number. The damaged file is kept beside the log.
        """
        return trial_log.mend(Path(self.path))

    def frame(self) -> pd.DataFrame:
        """Every trial, oldest first."""
        import pandas as pd

        return pd.DataFrame(trial_log.read(Path(self.path)), columns=list(trial_log.COLUMNS))

    def trials(self) -> tuple[int, float]:
        """How many different things were tried, and the standard deviation of their Sharpe
        ratios per bar.
        """
        latest = self.frame().drop_duplicates("trial", keep="last")
        tried = int(latest["count"].sum())
        count, ratios, spread = (
            latest.loc[latest["sharpe"].notna(), name].to_numpy(float)
            for name in ("count", "sharpe", "spread")
        )
        n = count.sum()
        if n < 2:
            return tried, 0.0
        level = (count * ratios).sum() / n
        square = ((count - 1.0) * spread**2 + count * (ratios - level) ** 2).sum()
        return tried, math.sqrt(square / (n - 1.0))

    def deflated_sharpe(self, returns: np.ndarray) -> float:
        """Probability that the true Sharpe ratio beats the best that luck gives among the trials
        recorded.
        """
        return measures.deflated_sharpe(returns, *self.trials())


@dataclass(frozen=True)
class Counted:
    """What a trial log counted when a fund was saved: how many trials, and the standard
    deviation of their Sharpe ratios per bar.
    """

    tried: int
    spread: float

    @classmethod
    def of(cls, values: Any, name: str) -> Counted:
        """From the pair in a file."""
        if (
            len(values) != 2
            or not all(0.0 <= value < 2.0**53 for value in values)
            or values[0] != int(values[0])
        ):
            raise DataError(
                f"{name}: trials = {values!r}: must be how many, and the standard "
                "deviation of their Sharpe ratios"
            )
        return cls(int(values[0]), float(values[1]))

    def trials(self) -> tuple[int, float]:
        """As of `TrialLog`."""
        return self.tried, self.spread

    def deflated_sharpe(self, returns: np.ndarray) -> float:
        """As of `TrialLog`."""
        return measures.deflated_sharpe(returns, *self.trials())


@contextmanager
def uncounted() -> Iterator[None]:
    """Exclude the back-tests that this thread runs in the block, or in the decorated function,
    from every open trial log: they are checks, not trials.
    """
    token = _checking.set(True)
    try:
        yield
    finally:
        _checking.reset(token)


def counted(result: Any) -> None:
    """Add a back-test to every ledger that is open."""
    for ledger in () if _checking.get() else tuple(_open):
        ledger.record_grid(result)


@dataclass(frozen=True)
class Overfitting(Shown):
    """How often the best column in one half of the bars ranks in the lower half in the other bars.

    Attributes
    ----------
    probability : float
        Probability of overfitting: near 0.5 if no column has skill, near 0 if one column has skill.
    logits : array, shape (combinations,)
        log(rank / (1 - rank)) of the best column's relative rank out of sample.
    degradation : tuple of float
        Slope and intercept of the regression of the best column's Sharpe ratio out of sample on its
        Sharpe ratio in sample, per bar.
    loss : float
        How often the best column lost money out of sample.
    """

    probability: float
    logits: np.ndarray
    degradation: tuple[float, float]
    loss: float


def overfitting(returns: Any, blocks: int = 16) -> Overfitting:
    """Probability of back-test overfitting by combinatorially symmetric cross-validation.

    The bars are cut into `blocks` equal parts. For every choice of half of the parts, the column
    with the best Sharpe ratio there is ranked in the other half.

    Parameters
    ----------
    returns : DataFrame or array, shape (bars, columns)
        Simple returns of every trial, such as from `Backtest.returns`.
    blocks : int
        An even number >= 2; 16 makes 12,870 combinations.

    Raises
    ------
    InputError
        Fewer than two columns, an odd number of blocks, or fewer than two bars in each.

    References
    ----------
    Bailey, Borwein, Lopez de Prado and Zhu (2017), The probability of backtest overfitting.
    """
    values = np.asarray(returns, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise InputError(
            f"returns have shape {values.shape}: must be bars x columns, two columns at least"
        )
    if blocks < 2 or blocks % 2 or len(values) < 2 * blocks:
        raise InputError(
            f"blocks = {blocks}: must be an even number >= 2 with at least two bars each, "
            f"of {len(values)} bars"
        )
    if not np.isfinite(values).all():
        row, column = map(int, np.argwhere(~np.isfinite(values))[0])
        raise InputError(
            f"returns[{row}, {column}] = {float(values[row, column])!r}: must be finite"
        )
    length = len(values) // blocks
    cut = values[: length * blocks].reshape(blocks, length, -1)
    first, second = cut.sum(axis=1), (cut * cut).sum(axis=1)
    chosen = np.zeros((math.comb(blocks, blocks // 2), blocks))
    for row, those in enumerate(itertools.combinations(range(blocks), blocks // 2)):
        chosen[row, list(those)] = 1.0
    ranks, won, kept = np.empty(len(chosen)), np.empty(len(chosen)), np.empty(len(chosen))
    bars = length * blocks // 2
    part = max(1, (1 << 22) // values.shape[1])
    for begin in range(0, len(chosen), part):
        some = chosen[begin : begin + part]
        inside, outside = (
            _ratios(side @ first, side @ second, bars) for side in (some, 1.0 - some)
        )
        best = inside.argmax(axis=1)
        rows = np.arange(len(some))
        there = outside[rows, best]
        ranks[begin : begin + part] = (outside <= there[:, None]).sum(axis=1) / (
            values.shape[1] + 1.0
        )
        won[begin : begin + part], kept[begin : begin + part] = inside[rows, best], there
    logits = np.log(ranks / (1.0 - ranks))
    slope, level = np.polyfit(won, kept, 1) if np.ptp(won) > 0.0 else (0.0, float(kept.mean()))
    return Overfitting(
        float((logits <= 0.0).mean()),
        logits,
        (float(slope), float(level)),
        float((kept < 0.0).mean()),
    )


def _ratios(total: np.ndarray, squares: np.ndarray, bars: int) -> np.ndarray:
    """Sharpe ratios per bar from sums; a column that never moves has none, and is never the
    best.
    """
    mean = total / bars
    spread = np.sqrt(np.maximum(squares / bars - mean * mean, 0.0))
    return np.asarray(np.where(spread > 0.0, mean / np.where(spread > 0.0, spread, 1.0), -np.inf))
