"""Laws of prices that closed forms are functions of: lognormal, alone or several together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Lognormal:
    """The law of a lognormal spot over [start, time], each value of shape (n,); closed forms are
    functions of these values.

    Parameters
    ----------
    spot : array
        The price at `start`.
    time : array
        Years from today to the end.
    growth, total, discount_factor : callable
        Of years t from today: E[S_t] / S_0, the variance of log S_t, and the value today of 1 paid
        at t.
    flat : bool
        Whether rates and volatility are constant in time, as the reflection principle needs.
    start : array
        Years from today to the beginning; 0 is now.
    """

    spot: Any
    time: Any
    growth: Callable[[Any], Any]
    total: Callable[[Any], Any]
    discount_factor: Callable[[Any], Any]
    flat: bool = True
    start: Any = 0.0

    @classmethod
    def ending(
        cls, spot: Any, time: Any, forward: Any, variance: Any, discount: Any, xp: Any
    ) -> Lognormal:
        """A price whose law is known at `time` only. A formula that asks for another later time
        gets NaN.
        """

        def known(value: Any, today: float) -> Callable[[Any], Any]:
            return lambda t: xp.where(t == time, value, xp.where(t == 0.0, today, xp.nan))

        return cls(
            spot,
            time,
            known(forward / spot, 1.0),
            known(variance, 0.0),
            known(discount, 1.0),
            flat=False,
        )

    @property
    def now(self) -> bool:
        """Whether the law begins today, where nothing has grown."""
        return isinstance(self.start, float) and self.start == 0.0

    @property
    def forward(self) -> Any:
        """E[S_T]."""
        grown = self.spot * self.growth(self.time)
        return grown if self.now else grown / self.growth(self.start)

    @property
    def variance(self) -> Any:
        """Variance of log S_T."""
        return self.total(self.time) if self.now else self.total(self.time) - self.total(self.start)

    @property
    def discount(self) -> Any:
        """Value at `start` of 1 paid at T."""
        return (
            self.discount_factor(self.time)
            if self.now
            else self.discount_factor(self.time) / self.discount_factor(self.start)
        )

    @property
    def length(self) -> Any:
        """Years from `start` to the end."""
        return self.time - self.start

    def until(self, time: Any) -> Lognormal:
        """The same price up to another time."""
        return replace(self, time=time)

    def after(self, start: Any, spot: Any) -> Lognormal:
        """The price from a later time on, where it stands at `spot`."""
        return replace(self, start=start, spot=spot)

    def at(self, spot: Any) -> Lognormal:
        """The same law from another price."""
        return replace(self, spot=spot)


@dataclass(frozen=True)
class Lognormals:
    """The facts of several prices, lognormal together, at one time.

    Parameters
    ----------
    spots, forwards : array, shape (n, assets)
        Today's prices, and E[S_T].
    covariance : array, shape (n, assets, assets)
        Of the log prices at T.
    discount : array, shape (n,)
        Value today of 1 paid at T.
    """

    spots: Any
    forwards: Any
    covariance: Any
    discount: Any

    def first(self, xp: Any) -> Lognormal:
        """The law of the first price."""
        return Lognormal.ending(
            self.spots[:, 0], 1.0, self.forwards[:, 0], self.covariance[:, 0, 0], self.discount, xp
        )

    def second_given(self, price: Any, xp: Any) -> Lognormal:
        """The law of the second price where the first is known, undiscounted."""
        square = self.covariance[:, 0, 0]
        slope = self.covariance[:, 0, 1] / square
        surprise = xp.log(price / self.forwards[:, 0]) + 0.5 * square
        left = xp.maximum(self.covariance[:, 1, 1] - slope * self.covariance[:, 0, 1], 0.0)
        forward = self.forwards[:, 1] * xp.exp(
            slope * surprise - 0.5 * (self.covariance[:, 1, 1] - left)
        )
        return Lognormal.ending(
            self.spots[:, 1], 1.0, forward, left, xp.ones_like(self.discount), xp
        )
