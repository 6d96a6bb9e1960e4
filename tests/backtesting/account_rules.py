"""Rules that see their account, for the tests: they stand in a file, as a caller's do."""

from dataclasses import dataclass

from gpuquant.data.domains import Column, integer, positive
from gpuquant.rules.base import NO_CHANGE, Rule


@dataclass(frozen=True)
class Bracket(Rule):
    """Buys a new high, only if flat; sells at a profit or a loss of so much, or after some bars."""

    window: Column = integer(sample=10.0)
    gain: Column = positive(sample=0.05)
    loss: Column = positive(sample=0.03)
    patience: Column = integer(sample=20.0)

    @staticmethod
    def begin(r, i):
        return (0.0,), r.window[i]

    @staticmethod
    def decide(r, i, state, past, k, account):
        mean = past.sum(r.window[i]) / r.window[i]
        rises = past.sum(1.0) > mean
        value = account.entry_price * account.position
        done = account.profit > r.gain[i] * value or account.profit < -r.loss[i] * value
        late = k - account.entry_bar >= r.patience[i]
        flat = account.position == 0.0
        target = (1.0 if rises else NO_CHANGE) if flat else (0.0 if done or late else NO_CHANGE)
        return state, target


@dataclass(frozen=True)
class Scaled(Rule):
    """Adds a unit each time the price falls by a step below the last entry, up to a few; takes one
    off at each step of profit.
    """

    step: Column = positive(sample=0.02)
    most: Column = integer(sample=4.0)

    decides = "units"

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0

    @staticmethod
    def decide(r, i, state, past, k, account):
        close, units, cost = past.close(0), account.position, account.entry_price
        first = units == 0.0
        adds = close < cost * (1.0 - r.step[i] * units) and units < r.most[i]
        sheds = close > cost * (1.0 + r.step[i]) and account.cash < account.equity
        target = units + 1.0 if first or adds else (units - 1.0 if sheds else NO_CHANGE)
        return state, target


@dataclass(frozen=True)
class Holds(Rule):
    """Buys so many units, and keeps what it holds; sells where its equity is gone."""

    units: Column = positive(sample=1.0)

    decides = "units"

    @staticmethod
    def begin(r, i):
        return (0.0,), 1.0

    @staticmethod
    def decide(r, i, state, past, k, account):
        keeps = account.position if account.position > 0.0 else r.units[i]
        return state, 0.0 if account.equity < 0.9 * account.cash else keeps
