"""A batch: rows of one product under one model, which one kernel can price."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpuquant.data.columns import counted, domains
from gpuquant.device.device import HOST
from gpuquant.errors import MemberError
from gpuquant.models.base import Model
from gpuquant.models.laws import Lognormals
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.expired import expired

PERCENT = {"volatility": 5.0, "volatilities": 5.0, "rate": 2.0, "rates": 2.0}  # look like percent


def first_message(messages: list[np.ndarray | None], n: int) -> np.ndarray | None:
    """The first message of each row, shape (n,), empty where a row has none. None when every item
    of `messages` is None.
    """
    result = [np.broadcast_to(one, n).astype(object) for one in messages if one is not None]
    return (
        functools.reduce(lambda first, second: np.where(first == "", second, first), result)
        if result
        else None
    )


def all_messages(messages: list[np.ndarray | None], n: int) -> np.ndarray | None:
    """All messages of each row as one, shape (n,); None when every item is None."""
    there = [np.broadcast_to(one, n).tolist() for one in messages if one is not None]
    rows = ["; ".join(filter(None, row)) for row in zip(*there, strict=True)]
    return np.array(rows, dtype=object) if there else None


@dataclass(frozen=True)
class Batch:
    """Rows that one kernel prices.

    Parameters
    ----------
    model, payoff : Model and Payoff
        Checked columns of length 1 or n.
    rows : int array, shape (n,)
        Their positions in the caller's order.
    streams : int64 array, shape (n,)
        Random stream of each.
    notes : object array, shape (n,), optional
        A sentence about what a row's market leaves out, empty for the others.
    """

    model: Model
    payoff: Payoff
    rows: np.ndarray
    streams: np.ndarray
    notes: np.ndarray | None = None

    @property
    def fixed(self) -> tuple[tuple[str, float], ...]:
        """The choices that are constants of the kernel."""
        result = []
        for member in (self.model, self.payoff):
            for name, domain in domains(type(member)).items():
                if domain.compile_time_constant:
                    result.append((name, float(getattr(member, name)[0])))
        return tuple(result)

    @property
    def restless(self) -> np.ndarray:
        """Rows whose paths have large derivatives along the variance, shape (n,)."""
        found = type(self.model).restless(self.model)
        return np.broadcast_to(False if found is None else found, len(self.rows))

    def together(self) -> SimpleNamespace:
        """The columns of model and payoff side by side, and how many `assets` the model has."""
        assets = self.model.assets
        count = dict(self.lengths)[assets] if isinstance(assets, str) else assets
        return SimpleNamespace(**{**self.model.columns(), **self.payoff.columns()}, assets=count)

    def refused(self) -> np.ndarray | None:
        """A message for each row whose columns do not fit together, empty for a good row. None when
        no check returns messages.
        """
        n = len(self.rows)
        wrong = fits(self.model, self.payoff, dict(self.lengths))
        if wrong:
            return np.full(n, wrong, dtype=object)
        return first_message(
            [
                *(member.refuse(self.together()) for member in (self.model, self.payoff)),
                self._infinite(),
            ],
            n,
        )

    def amounts(self) -> np.ndarray:
        """The order of magnitude of each row's payment: its cash, its notional, or its spot."""
        columns = vars(self.together())
        names = ("cash", "notional", "spots", "spot")
        value = next((columns[name] for name in names if name in columns), np.ones(1))
        most = np.nanmax(value, axis=1) if value.ndim == 2 else value
        return np.broadcast_to(most, len(self.rows))

    def log_variance(self) -> np.ndarray | None:
        """Variance of the log price at maturity of each row, shape (n,); of several assets the
        largest variance. None where the model does not state the variance.
        """
        model, maturity = self.model, self.payoff.maturity
        known = model.mean_variance(model, maturity, np, HOST.special)  # rows are on the host
        if known is None:
            law = model.lognormal(model, maturity, np)
            known = (
                np.einsum("njj->nj", law.covariance).max(axis=1)
                if isinstance(law, Lognormals)
                else law and law.variance
            )
        if known is None:
            return None
        return np.broadcast_to(np.asarray(known, dtype=np.float64), len(self.rows))

    def _infinite(self) -> np.ndarray | None:
        """A message for each row that pays a power of the price whose mean is infinite."""
        order = self.payoff.moment(self.together())
        since = None if order is None else self.model.explosion(self.model, order)
        if order is None or since is None or not (since < self.payoff.maturity).any():
            return None
        n = len(self.rows)
        order, since, maturity = (
            np.broadcast_to(value, n) for value in (order, since, self.payoff.maturity)
        )
        names = [
            f"the price is infinite: the mean of S^{p:g} is, from {t:.3g} years on"
            if t < end
            else ""
            for p, t, end in zip(order, since, maturity, strict=True)
        ]
        return np.array(names, dtype=object)

    def warned(self) -> np.ndarray | None:
        """A message for each row whose result is right but surprising, empty for the others. None
        when neither model nor payoff warns.
        """
        try:
            told = [
                self.notes,
                *(self._percent(name, limit) for name, limit in PERCENT.items()),
                self.model.warn(self.model),
                self.payoff.warn(self.together()),
            ]
            return all_messages(told, len(self.rows))
        except AttributeError as failure:
            raise MemberError(
                f"{type(self.payoff).__name__} under {type(self.model).__name__}: the "
                f"model has no {failure.name}"
            ) from failure

    def _percent(self, name: str, limit: float) -> np.ndarray | None:
        """A message for each row whose number looks like percent where a fraction is meant."""
        values = getattr(self.model, name, None)
        if values is None:
            return None
        low, high = np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
        if not (high > limit or low < -limit):
            return None
        rows = values.reshape(len(values), -1)
        worst = np.take_along_axis(
            rows, np.nan_to_num(np.abs(rows)).argmax(axis=1)[:, None], axis=1
        )[:, 0]
        return np.array(
            [
                f"{name} = {one:g}, which is {one:,.0%} a year: percent, where a fraction is meant?"
                if abs(one) > limit
                else ""
                for one in worst.tolist()
            ],
            dtype=object,
        )

    @property
    def lengths(self) -> tuple[tuple[str, int], ...]:
        """How long the lists are that a kernel reads."""
        return tuple(
            (name, getattr(m, name).shape[1])
            for m in (self.model, self.payoff)
            for name, d in domains(type(m)).items()
            if d.listed and not d.host_only
        )

    @property
    def draws(self) -> int:
        """Normals and uniforms of one step."""
        long = dict(self.lengths)
        return sum(
            long[stated] if isinstance(stated, str) else stated
            for stated in (self.model.normals, self.model.uniforms)
        )

    def derived(self) -> Iterator[Batch]:
        """The same rows with their derived columns. The rows that mature today are a batch of their
        own, under constant prices.
        """
        now = np.flatnonzero(np.broadcast_to(self.payoff.maturity == 0.0, len(self.rows)))
        later = (
            self.take(np.flatnonzero(np.broadcast_to(self.payoff.maturity > 0.0, len(self.rows))))
            if len(now)
            else self
        )
        if len(later.rows):
            yield Batch(
                later.model.with_derived_columns(),
                later.payoff.with_derived_columns(),
                later.rows,
                later.streams,
                later.notes,
            )
        if len(now):
            due = self.take(now)
            lasting = due.payoff.from_columns(
                {**due.payoff.columns(), "maturity": np.ones(1)}
            ).with_derived_columns()
            yield Batch(expired(due.model.with_derived_columns()), lasting, due.rows, due.streams)

    def split(self) -> Iterator[Batch]:
        """One batch for each set of fixed choices and lengths of lists."""
        n = len(self.rows)
        codes = []
        for member in (self.model, self.payoff):
            for name, domain in domains(type(member)).items():
                if domain.compile_time_constant:
                    codes.append(np.broadcast_to(getattr(member, name), n))
                elif domain.listed and not (domain.host_only or domain.derived):
                    codes.append(np.broadcast_to(counted(getattr(member, name)), n))
        if not codes or all(np.ptp(c) == 0 for c in codes):
            wide = any(
                getattr(m, name).shape[1] > counted(getattr(m, name)).max()
                for m in (self.model, self.payoff)
                for name, d in domains(type(m)).items()
                if d.listed
            )
            yield (
                self.take(np.arange(n)) if wide else self
            )  # a frame's lists are as wide as its longest
            return
        kinds, inverse = np.unique(np.stack(codes), axis=1, return_inverse=True)
        for k in range(kinds.shape[1]):
            yield self.take(np.flatnonzero(inverse.ravel() == k))

    def take(self, which: np.ndarray) -> Batch:
        """The batch of these of its rows."""
        notes = None if self.notes is None else self.notes[which]
        parts = self.model.take(which), self.payoff.take(which)
        return Batch(*parts, self.rows[which], self.streams[which], notes)


def fits(model: Any, payoff: Any, lengths: Mapping[str, int]) -> str:
    """A message if the payoff is on another number of assets than the model has, else an empty
    string. The arguments are members or their classes.
    """
    assets = lengths[model.assets] if isinstance(model.assets, str) else model.assets
    if payoff.assets == assets or (payoff.assets == 0 and assets > 1):
        return ""
    names = [(one if isinstance(one, type) else type(one)).__name__ for one in (payoff, model)]
    return (
        f"{names[0]} is on {payoff.assets or 'several'} asset{'s' * (payoff.assets != 1)}, "
        f"{names[1]} has {assets} here"
    )
