"""A rule as a user would write it, in a file of its own."""

from dataclasses import dataclass

from gpuquant.data.domains import Column, positive, real
from gpuquant.rules.base import NO_CHANGE, Rule


@dataclass(frozen=True)
class BuyTheDip(Rule):
    """Buys after a fall of `depth` from the highest close, sells at a new high.

    Parameters
    ----------
    depth : Column
        Share of the high; > 0.
    """

    depth: Column = positive(sample=0.1)

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0

    @staticmethod
    def decide(r, i, state, past, k):
        close = past.close(0)
        high = max(state[0], close)
        target = 1.0 if close < high * (1.0 - r.depth[i]) else NO_CHANGE
        target = 0.0 if close >= high else target
        return (high,), target


@dataclass(frozen=True)
class BuyWhenSeen(Rule):
    """Buys at the first bar at which there is a close `back` bars ago, and a sum of so many.

    Parameters
    ----------
    back : Column
        Bars; below zero is the future.
    """

    back: Column = real(sample=1.0)

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0

    @staticmethod
    def decide(r, i, state, past, k):
        seen = past.close(r.back[i]) + past.sum(r.back[i])
        return state, 1.0 if seen == seen else NO_CHANGE


@dataclass(frozen=True)
class Breakout(Rule):
    """Long where a bar on more volume than the last closes above the last high; out below the last
    low, or below its own open by `fade`.

    Parameters
    ----------
    fade : Column
        Share of the open.
    """

    fade: Column = real(sample=0.01)

    @staticmethod
    def begin(r, i):
        return (0.0,), 1.0

    @staticmethod
    def decide(r, i, state, past, k):
        close = past.close(0)
        rises = (close > past.high(1)) and (past.volume(0) > past.volume(1))
        falls = (close < past.low(1)) or (close < past.open(0) * (1.0 - r.fade[i]))
        return state, 1.0 if rises else (0.0 if falls else NO_CHANGE)


@dataclass(frozen=True)
class Patient(Rule):
    """By turns long, flat, short and flat, a turn every third bar, each at a limit and a stop so
    far from the close.

    Parameters
    ----------
    limit : Column
        Share of the close by which a limit is better than it; 0 for none.
    stop : Column
        Share of the close by which a stop is worse than it; 0 for none.
    """

    limit: Column = real(sample=0.01)
    stop: Column = real(sample=0.0)
    priced = True

    @staticmethod
    def begin(r, i):
        return (0.0,), 1.0

    @staticmethod
    def decide(r, i, state, past, k):
        turn = state[0]
        side = 1.0 if turn == 0.0 or turn == 9.0 else -1.0
        target = (
            1.0
            if turn == 0.0
            else (-1.0 if turn == 6.0 else (0.0 if turn == 3.0 or turn == 9.0 else NO_CHANGE))
        )
        close = past.close(0)
        limit = close * (1.0 - side * r.limit[i]) if r.limit[i] != 0.0 else 0.0
        stop = close * (1.0 + side * r.stop[i]) if r.stop[i] != 0.0 else 0.0
        return (turn + 1.0 if turn < 11.0 else 0.0,), target, limit, stop
