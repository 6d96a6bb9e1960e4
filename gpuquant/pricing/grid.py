"""The time grid of a simulation: spans of equal steps from date to date, for every row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.pricing.batch import Batch

LEAST_STEPS = 16  # of a scheme that is not exact, however short the maturity
NEVER = 1 << 62  # steps from one date to the next where there is none


@dataclass(frozen=True)
class Grid:
    """When each row steps, and when it is observed.

    Parameters
    ----------
    spans : int64 array, shape (n + 1,)
        Spans `spans[r]` to `spans[r + 1] - 1` belong to row r.
    ends : int64 array, shape (spans,)
        The row's number of steps up to the end of each span.
    dts : float64 array, shape (spans,)
        Length of its steps, in years.
    everies : int64 array, shape (spans,)
        Every so many steps of a span are a date; NEVER where none is.
    """

    spans: np.ndarray
    ends: np.ndarray
    dts: np.ndarray
    everies: np.ndarray

    @property
    def steps(self) -> np.ndarray:
        """Steps of each row."""
        return np.asarray(self.ends[self.spans[1:] - 1])

    @classmethod
    def of(cls, batch: Batch, steps: int | None) -> Grid:
        """The grid of a batch with about `steps` steps, or the model's default number."""
        n = len(batch.rows)
        payoff = batch.payoff
        maturity = np.broadcast_to(payoff.maturity, n)  # type: ignore[attr-defined]
        wanted = _wanted(batch, maturity, steps)
        if payoff.times:
            dates = np.stack([np.broadcast_to(getattr(payoff, name), n) for name in payoff.times], axis=1)
            return _through(dates, maturity, wanted)
        bridged = payoff.bridged(dict(batch.fixed))
        every = np.full(n, NEVER) if bridged or not payoff.dates else -(-wanted // np.broadcast_to(getattr(payoff, payoff.dates), n).astype(np.int64))
        if payoff.dates and not bridged:
            wanted = every * np.broadcast_to(getattr(payoff, payoff.dates), n).astype(np.int64)
        return cls(np.arange(n + 1), wanted, maturity / wanted, every)


def _wanted(batch: Batch, maturity: np.ndarray, steps: int | None) -> np.ndarray:
    """Steps of each row, before they are rounded up to its dates."""
    model = batch.model
    if steps is not None:
        base = np.full(len(maturity), steps)
    elif model.steps_per_year:
        base = np.maximum(np.ceil(model.steps_per_year * maturity), LEAST_STEPS)
    else:
        base = np.ones(len(maturity))
    return np.maximum(base, model.least_steps(model, maturity)).astype(np.int64)


def _through(dates: np.ndarray, maturity: np.ndarray, wanted: np.ndarray) -> Grid:
    """Spans from date to date (NaN: none) and on to maturity, with steps in proportion and at least one."""
    given = np.sort(np.where(dates > 0.0, dates, np.nan), axis=1)
    last = given == maturity[:, None]
    stops = np.concatenate([np.where(last, np.nan, given), maturity[:, None]], axis=1)
    dated = np.concatenate([np.isfinite(given), last.any(axis=1)[:, None]], axis=1)
    before = np.concatenate([np.zeros((len(stops), 1)), np.fmax.accumulate(stops, axis=1)[:, :-1]], axis=1)
    before = np.fmax(before, 0.0)
    length = stops - before
    there = np.isfinite(stops) & (length > 0.0)
    counts = np.where(there, np.maximum(np.ceil(np.nan_to_num(length) / maturity[:, None] * wanted[:, None] - 1e-9), 1.0), 0.0).astype(np.int64)
    ends = np.cumsum(counts, axis=1)
    spans = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    every = np.where(dated, counts, NEVER)
    return Grid(spans, ends[there], (length / np.maximum(counts, 1))[there], every[there])
