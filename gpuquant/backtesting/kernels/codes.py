"""The numbers that stand for words in the bar loop, and its limits."""

from __future__ import annotations

from enum import IntEnum

from gpuquant.rules.base import NO_CHANGE as NO_CHANGE

NO_SIGNAL = 2  # its code among signals, which are a byte each
NO_LIMIT = 1e300  # units
MIN_UNITS = 1e-8  # that an order may trade
ROUNDING = 1e-9  # of a position: a smaller order is what rounding makes of none
NAN = float("nan")
CPU_BLOCK = 64  # bars that a CPU looks at at once; a GPU's thread goes from bar to bar


class Reject(IntEnum):
    """Why an order was not filled in full."""

    NONE = 0
    NO_PRICE = 1
    NO_CASH = 2
    TOO_SMALL = 3
    NO_VOLUME = 4
    NOTHING_TO_CLOSE = 5
    NOT_REACHED = 6
    RUINED = 7


class Cause(IntEnum):
    """What sent an order."""

    ORDER = 0
    STOP_LOSS = 1
    TRAILING_STOP = 2
    TAKE_PROFIT = 3
    TIME = 4
    LIMIT = 5
    STOP = 6
    MARGIN_CALL = 7
    DELISTING = 8
    RUIN = 9


class OrderState(IntEnum):
    """What a resting order is."""

    WAITING = 0
    LIVE = 1
    FILLED = 2
    CANCELLED = 3
    EXPIRED = 4
    REJECTED = 5


class SizeType(IntEnum):
    """What the amount of an order is measured in; the words of `Size.size_type`, and
    holding, of orders alone."""

    EQUITY = 0
    CASH = 1
    UNITS = 2
    VALUE = 3
    RISK = 4
    HOLDING = 5
