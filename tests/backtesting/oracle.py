"""A slow, obvious account: what the back-test walk must say, written from its docs and with none
of its code.
"""

import math
from dataclasses import dataclass, field

import numpy as np

TINY = 1e-8


@dataclass
class Terms:
    """An account's terms as plain numbers; the names are those of Size, Stops, Margin and
    Commission.
    """

    mode: str = "weights"  # signals, weights, amounts
    fill: str = "next"
    of: str = "equity"
    amount: float = 1.0
    lot: float = 0.0
    minimum: float = 0.0
    participation: float = 1.0
    partial: bool = True
    add: bool = False
    sides: str = "both"
    sequential: bool = False
    rate: float = 0.0
    fixed: float = 0.0
    least_fee: float = 0.0
    slippage: float = 0.0
    impact: float = 0.0
    stop_loss: float = math.inf
    take_profit: float = math.inf
    trailing: float = math.inf
    stops: bool = False
    entry_bar: bool = False
    base: str = "fill"
    goal_slips: bool = False
    watch: str = "range"
    follow: str = "range"
    initial: float = 1.0
    maintenance: float = 0.0
    financing: float = 0.0
    interest: float = 0.0
    borrow: float = 0.0
    levered: bool = False
    locked: bool = False


@dataclass
class Oracle:
    """One account on the assets `names` of a panel, as asked in an array of the panel's shape."""

    panel: object
    targets: np.ndarray
    terms: Terms
    cash: float
    held: np.ndarray = field(init=False)
    fills: list = field(default_factory=list)  # bar, asset, signed units, price, fee
    refused: list = field(default_factory=list)  # bar, asset
    equity: list = field(default_factory=list)

    def __post_init__(self):
        n = self.panel.close.shape[1]
        self.held, self.debt = np.zeros(n), np.zeros(n)
        self.base, self.top, self.entry = np.zeros(n), np.zeros(n), np.full(n, -1)
        self.target, self.alive, self.called = np.full(n, np.nan), True, False
        self.last = np.full(n, np.nan)

    def fee(self, value):
        t = self.terms
        return t.fixed + max(t.least_fee, t.rate * value)

    def affordable(self, cash):
        t = self.terms
        left = cash - t.fixed
        return max(min(left / (1.0 + t.rate), left - t.least_fee), 0.0)

    def paid(self, price, side, share=0.0):
        return price * (1.0 + side * (self.terms.slippage + self.terms.impact * math.sqrt(share)))

    def worth(self, prices):
        return self.cash + sum(h * p for h, p in zip(self.held, prices, strict=True) if h != 0.0)

    def once_covered(self, bar, j):
        """Units of an asset once what buys back its short has been dealt, as far as its volume
        allows.
        """
        t, size = self.terms, max(self.sizes[j], 0.0)
        if self.panel.volume is not None:
            most = t.participation * np.nan_to_num(self.panel.volume[bar, j])
            size = size if size <= most else most if t.partial else 0.0
        return self.held[j] + min(size, max(-self.held[j], 0.0))

    def short_room(self, bar, j, price, closed, cash):
        """What may still be sold short without margin: all shorts together come to the worth of
        the account.
        """
        marks = [
            price if q == j else p if p > 0.0 else self.last[q] for q, p in enumerate(self.prices)
        ]
        after = [self.held[q] + (closed if q == j else 0.0) for q in range(len(marks))]
        shorts = [
            min(after[q] if q == j else self.once_covered(bar, q), 0.0) for q in range(len(marks))
        ]
        return (
            cash
            + sum(a * m for a, m in zip(after, marks, strict=True) if a != 0.0)
            + sum(s * m for s, m in zip(shorts, marks, strict=True) if s != 0.0)
        )

    def deal(self, bar, j, wanted, price, slips=1.0, kept=math.inf):
        """Trade as much of `wanted` as the rules allow, and no more than `kept` units."""
        t, side, had = self.terms, 1.0 if wanted > 0 else -1.0, self.held[j]
        if not price > 0.0:
            self.refused.append((bar, j))
            return
        size, share = min(abs(wanted), kept), 0.0
        if self.panel.volume is not None and (t.participation < 1.0 or t.impact > 0.0):
            volume = np.nan_to_num(self.panel.volume[bar, j])
            size = min(size, t.participation * volume)
            share = size / volume if volume > 0 else 0.0
        paid = self.paid(price, side * slips, share)
        closing = min(size, max(-side * had, 0.0))
        if side == {"long": -1.0, "short": 1.0}.get(t.sides):
            size = closing
        opening = size - closing
        if opening > 0.0:
            left = (
                self.cash
                - side * closing * paid
                - (self.fee(closing * paid) if closing > 0 else 0.0)
            )
            room = left
            if t.levered:
                after = self.held.copy()
                after[j] += side * closing
                marks = self.last.copy()
                marks[j] = price
                gross = sum(abs(h * m) for h, m in zip(after, marks, strict=True) if h != 0.0)
                net = left + sum(h * m for h, m in zip(after, marks, strict=True) if h != 0.0)
                room = (net - t.initial * gross) / t.initial
            elif t.locked:
                freed = self.debt[j] * closing / abs(had) if had < 0 and closing > 0 else 0.0
                room = left - 2.0 * (self.debt.sum() - freed)
            if side < 0.0 and not t.levered and not t.locked:
                opening = min(
                    opening, max(self.short_room(bar, j, price, side * closing, left), 0.0) / paid
                )
            else:
                opening = min(opening, self.affordable(max(room, 0.0)) / paid)
        size = closing + opening
        whole = size == abs(had) and wanted * had < 0
        if t.lot and not whole:
            size = math.floor(size / t.lot * (1.0 + 1e-12)) * t.lot
        if (
            (not t.partial and size < min(abs(wanted), kept) * (1.0 - 1e-9))
            or size < TINY
            or (size < t.minimum and not whole)
        ):
            self.refused.append((bar, j))
            return
        fee = self.fee(size * paid)
        now = 0.0 if whole else had + side * size
        self.cash -= side * size * paid + fee
        if side < 0:
            self.debt[j] += min(size, max(-now, 0.0)) * paid
        else:
            self.debt[j] = self.debt[j] * max(-now, 0.0) / -had if had < 0 else 0.0
        if had * now <= 0.0:
            self.base[j] = self.top[j] = {
                "fill": paid,
                "close": self.panel.close[bar, j],
                "signal": self.last[j] if self.last[j] > 0.0 else paid,
            }[t.base]
            self.entry[j] = bar
        self.held[j] = now
        self.fills.append((bar, j, side * size, paid, fee))

    def units(self, j, target, price, worth):
        """Units to trade for a target."""
        t, had = self.terms, self.held[j]
        if math.isnan(target) or (target == 0.0 and had == 0.0):
            return 0.0
        if t.mode == "weights":
            return target * worth / price - had
        if t.mode == "amounts":
            return target - had
        if target == 0.0:
            return -had
        if target * had > 0.0 and not t.add:
            return 0.0
        side = math.copysign(1.0, target)
        if t.of == "cash":
            paid = self.paid(price, side)
            closing = max(-side * had, 0.0)
            left = (
                self.cash - side * closing * paid - (self.fee(closing * paid) if closing else 0.0)
            )
            units = (
                self.affordable(t.amount * max(left, 0.0))
                / paid
                / (t.initial if t.levered else 1.0)
            )
        else:
            units = {
                "units": t.amount,
                "value": t.amount / price,
                "equity": t.amount * worth / price,
            }.get(t.of) or t.amount * worth / (price * t.stop_loss)
        if t.lot:
            units = math.floor(units / t.lot + 1e-9) * t.lot
        wanted = side * units - (had if not t.add or had == 0.0 else 0.0)
        if side == {"long": -1.0, "short": 1.0}.get(t.sides):
            return 0.0 if side * had >= 0.0 else side * min(abs(wanted), abs(had))
        return wanted

    def trade(self, bar, prices):
        """All targets at once: sales first."""
        known = np.where(prices > 0.0, prices, self.last)
        worth = self.worth(known)
        sizes = self.sizes
        for j, target in enumerate(self.target):
            if prices[j] > 0.0:
                sizes[j] = self.units(j, target, prices[j], worth)
            elif not math.isnan(target) and (target != 0.0 or self.held[j] != 0.0):
                self.refused.append((bar, j))
        for j in np.flatnonzero(
            (np.abs(sizes) < TINY) & (sizes != 0.0)
        ):  # refused, or what rounding makes of nothing
            if abs(sizes[j]) > 1e-9 * abs(self.held[j]):
                self.refused.append((bar, j))
            sizes[j] = 0.0
        if self.terms.sequential:
            for j in sorted(np.flatnonzero(sizes), key=lambda j: sizes[j] * prices[j]):
                size, sizes[j] = sizes[j], 0.0
                self.deal(bar, j, size, prices[j])
            return
        cover = np.clip(-self.held, 0.0, np.maximum(sizes, 0.0))
        covering = sum(
            c * self.paid(p, 1.0) + self.fee(c * self.paid(p, 1.0))
            for c, p in zip(cover, prices, strict=True)
            if c > 0.0
        )
        wanted = sum(
            (s - c) * self.paid(p, 1.0)
            for s, c, p in zip(sizes, cover, prices, strict=True)
            if s > 0.0
        )
        share = 1.0
        opening = np.maximum(np.abs(sizes) - np.maximum(self.held, 0.0), 0.0) * (sizes < 0.0)
        shorting = sum(o * p for o, p in zip(opening, known, strict=True) if o > 0.0)
        if shorting > 0.0 and not self.terms.levered and not self.terms.locked and len(sizes) > 1:
            shorts = [min(self.once_covered(bar, j), 0.0) for j in range(len(sizes))]
            share = min(
                1.0,
                max(worth + sum(s * p for s, p in zip(shorts, known, strict=True) if s != 0.0), 0.0)
                / shorting,
            )
        for j in np.flatnonzero(sizes < 0.0):
            size, sizes[j] = sizes[j], 0.0
            self.deal(
                bar,
                j,
                size,
                prices[j],
                kept=math.inf if share == 1.0 else abs(size) - (1.0 - share) * opening[j],
            )
        share = 1.0
        if wanted > 0.0 and not self.terms.levered and len(sizes) > 1:
            share = min(1.0, self.affordable(max(self.cash - covering, 0.0)) / wanted)
        for j in np.flatnonzero(sizes > 0.0):
            size, sizes[j] = sizes[j], 0.0
            self.deal(
                bar,
                j,
                size,
                prices[j],
                kept=math.inf if share == 1.0 else size - (1.0 - share) * (size - cover[j]),
            )

    def protect(self, bar, j, traded):
        """Stops of one asset; whether one was met."""
        t, had, panel = self.terms, self.held[j], self.panel
        if had == 0.0 or not (self.entry[j] < bar or t.entry_bar) or not traded:
            return False
        side = math.copysign(1.0, had)
        first, high, low = (
            (panel.open[bar, j], panel.high[bar, j], panel.low[bar, j])
            if panel.high is not None and t.watch == "range"
            else (panel.close[bar, j],) * 3
        )
        worst, best = (low, high) if side > 0 else (high, low)
        levels = [
            self.base[j] * (1.0 - side * t.stop_loss),
            self.top[j] * (1.0 - side * t.trailing),
        ]
        stop = max(levels) if side > 0 else min(levels)
        goal = self.base[j] * (1.0 + side * t.take_profit)
        lead = panel.close[bar, j] if t.follow == "close" else best
        self.top[j] = max(self.top[j], lead) if side > 0 else min(self.top[j], lead)
        if side * worst <= side * stop:
            self.deal(bar, j, -had, first if side * first <= side * stop else stop)
        elif side * best >= side * goal:
            self.deal(
                bar,
                j,
                -had,
                first if side * first >= side * goal else goal,
                slips=float(t.goal_slips),
            )
        else:
            return False
        return True

    def run(self):
        """Walk the bars."""
        t, panel = self.terms, self.panel
        for bar in range(len(panel.close)):
            closes = panel.close[bar]
            self.prices = prices = (
                closes if t.fill == "same_close" or panel.open is None else panel.open[bar]
            )
            self.sizes = np.zeros(len(closes))
            if self.alive:
                short = sum(h * p for h, p in zip(self.held, self.last, strict=True) if h < 0.0)
                years = float(
                    (panel.dates[bar] - panel.dates[max(bar - 1, 0)]) / np.timedelta64(365, "D")
                )
                self.cash += (
                    self.cash * (t.interest if self.cash > 0 else t.financing) + short * t.borrow
                ) * years
            if panel.splits is not None:
                ratio = np.nan_to_num(panel.splits[bar], nan=1.0)
                self.last = self.last / ratio
                if t.mode == "amounts" and t.fill == "next":
                    self.target = self.target * ratio
                for j in np.flatnonzero(self.held):
                    self.cash += self.held[j] * panel.dividends[bar, j]
                    self.held[j] *= panel.splits[bar, j]
                    self.base[j] /= panel.splits[bar, j]
                    self.top[j] /= panel.splits[bar, j]
            if panel.delistings is not None:
                for j in np.flatnonzero(self.held):
                    if np.isfinite(panel.delistings[bar, j]):
                        self.deal(
                            bar,
                            j,
                            -self.held[j],
                            max(self.last[j] * (1.0 + panel.delistings[bar, j]), 1e-12),
                            slips=0.0,
                        )
            if t.fill != "next":
                self.target = self.targets[bar].copy()
                if self.called:
                    self.target[:] = 0.0
                if t.stops:
                    for j in range(len(closes)):
                        if self.protect(bar, j, prices[j] > 0.0):
                            self.target[j] = np.nan
            if self.alive and np.isfinite(self.target).any():
                self.trade(bar, prices)
            elif not self.alive:
                self.refused += [
                    (bar, j)
                    for j in np.flatnonzero(np.isfinite(self.target) & (self.target != 0.0))
                ]
            if t.fill == "next" and t.stops:
                for j in range(len(closes)):
                    self.protect(bar, j, prices[j] > 0.0)
            self.last = np.where(closes > 0.0, closes, self.last)
            worth = self.worth(self.last)
            self.equity.append(worth)
            if worth <= 0.0 and self.alive:
                self.alive = False
                for j in np.flatnonzero(np.abs(self.held) >= TINY):
                    self.fills.append((bar, j, -self.held[j], self.last[j], 0.0))
                self.cash = worth
                self.held[:] = 0.0
            if t.fill == "next":
                self.target = self.targets[bar].copy()
            gross = sum(abs(h * p) for h, p in zip(self.held, self.last, strict=True) if h != 0.0)
            self.called = t.levered and self.alive and worth < t.maintenance * gross
            if self.called and t.fill == "next":
                self.target[:] = 0.0
        return self
