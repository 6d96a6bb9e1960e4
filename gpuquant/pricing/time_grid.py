"""The time grid of a simulation: spans of equal steps from date to date, for every row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpuquant.data.columns import affordable
from gpuquant.pricing.batch import Batch

LEAST_STEPS = 16  # of a scheme that is not exact, however short the maturity
# A payoff that watches between dates feels the steps more. With twice the steps the bias of 40
# barriers under Heston is 0.6 standard errors of a million paths (root mean square); with the usual
# number it is 1.1.
WATCHING = 2
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
        Steps from one date to the next within a span; NEVER where a span has no date.
    """

    spans: np.ndarray
    ends: np.ndarray
    dts: np.ndarray
    everies: np.ndarray

    @property
    def steps(self) -> np.ndarray:
        """Steps of each row."""
        return np.asarray(self.ends[self.spans[1:] - 1])

    @property
    def first(self) -> np.ndarray:
        """Years to the first date of each row."""
        at = self.spans[:-1]
        return np.asarray(self.dts[at] * self.ends[at])

    def refined(self) -> Grid:
        """The grid with two steps for each of these."""
        everies = np.where(self.everies < NEVER, 2 * self.everies, NEVER)
        return Grid(self.spans, 2 * self.ends, 0.5 * self.dts, everies)

    @classmethod
    def of(cls, batch: Batch, steps: int | None) -> Grid:
        """The grid of a batch with about `steps` steps, or the model's default number."""
        n = len(batch.rows)
        payoff = batch.payoff
        maturity = np.broadcast_to(payoff.maturity, n)
        wanted = _wanted(batch, maturity, steps)
        listed = [_rows(getattr(payoff, name), n) for name in payoff.times]
        listed += [_rows(getattr(batch.model, name), n) for name in batch.model.times]
        stops = np.concatenate(listed, axis=1) if listed else np.empty((n, 0))
        watched = sum(part.shape[1] for part in listed[: len(payoff.times)])
        even = payoff.discrete_dates(dict(batch.fixed)) and bool(payoff.dates)
        count = (
            np.broadcast_to(getattr(payoff, payoff.dates), n).astype(np.int64)
            if even
            else np.zeros(n, np.int64)
        )
        if np.isfinite(stops).any():
            if even:  # a row with a list of times has those dates instead
                affordable(n, int(count.max()), "observation dates")
                spread = np.where(
                    np.arange(count.max()) < count[:, None],
                    maturity[:, None] * (np.arange(count.max()) + 1) / count[:, None],
                    np.nan,
                )
                spread[np.isfinite(stops[:, :watched]).any(axis=1)] = np.nan
                stops, watched = np.concatenate([spread, stops], axis=1), watched + spread.shape[1]
            return _through(stops, np.arange(stops.shape[1]) < watched, maturity, wanted)
        every = -(-wanted // count) if even else np.full(n, NEVER)
        wanted = every * count if even else wanted
        several = every < wanted  # then the first date ends a span
        spans = np.concatenate([[0], np.cumsum(1 + several)])
        ends = np.repeat(wanted, 1 + several)
        ends[spans[:-1][several]] = every[several]
        return cls(
            spans, ends, *(np.repeat(one, 1 + several) for one in (maturity / wanted, every))
        )


def _rows(values: np.ndarray, n: int) -> np.ndarray:
    """A column of times, or of lists of times, as a row of times for each contract."""
    values = values if values.ndim == 2 else values[:, None]
    return np.broadcast_to(values, (n, values.shape[1]))


def _wanted(batch: Batch, maturity: np.ndarray, steps: int | None) -> np.ndarray:
    """Steps of each row, before they are rounded up to its dates."""
    model = batch.model
    if steps is not None:
        base = np.full(len(maturity), steps)
    elif model.steps_per_year:
        base = np.maximum(np.ceil(model.steps_per_year * maturity), LEAST_STEPS)
        if batch.payoff.continuous_monitoring(dict(batch.fixed)):
            base = WATCHING * base
    else:
        base = np.ones(len(maturity))
    return np.maximum(base, model.least_steps(model, maturity)).astype(np.int64)


def _through(
    stops: np.ndarray, watched: np.ndarray, maturity: np.ndarray, wanted: np.ndarray
) -> Grid:
    """Spans from each stop to the next, and from the last stop to maturity; a NaN is no stop. A
    span has steps in proportion to its length, and at least one. The stops in `watched` are dates.
    """
    n = len(maturity)
    times = np.concatenate([np.where(stops > 0.0, stops, np.nan), maturity[:, None]], axis=1)
    order = np.argsort(times, axis=1, kind="stable")
    times = np.take_along_axis(times, order, axis=1)
    dated = np.append(watched, False)[order]
    near = 1e-9 * maturity[:, None]
    for k in range(times.shape[1] - 1):  # two stops at one time are one, and a date if either is
        same = times[:, k + 1] - times[:, k] <= near[:, 0]
        dated[:, k + 1] |= same & dated[:, k]
        times[same, k] = np.nan
    before = np.fmax(
        np.concatenate([np.zeros((n, 1)), np.fmax.accumulate(times, axis=1)[:, :-1]], axis=1), 0.0
    )
    length = times - before
    there = np.isfinite(times) & (times <= maturity[:, None] + near)
    counts = np.where(
        there,
        np.maximum(
            np.ceil(np.nan_to_num(length) / maturity[:, None] * wanted[:, None] - 1e-9), 1.0
        ),
        0.0,
    ).astype(np.int64)
    ends = np.cumsum(counts, axis=1)
    spans = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    every = np.where(dated, counts, NEVER)
    return Grid(spans, ends[there], (length / np.maximum(counts, 1))[there], every[there])
