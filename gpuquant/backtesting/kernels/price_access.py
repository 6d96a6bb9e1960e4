"""What the bar loop reads of a bar, and what a rule may ask of its parameter `past`.

Kernel source. `j` counts the assets of the account and `t` the bars. Nothing here reads a bar
after `t`.

| function           | price                                     | where the asset halts |
|--------------------|-------------------------------------------|-----------------------|
| close_at           | the close of bar t                        | the last close        |
| last_close         | the close of bar t - 1, split-adjusted    | the last close        |
| fill_at            | the price at which orders fill at bar t   | NaN                   |
| fill_or_last_close | the same                                  | the last close        |
| first_price        | the open of bar t, or the fill price      | NaN                   |
| bar_span           | the low and the high of bar t             | NaN                   |
| past_close, ...    | n bars ago, as a share of now             | the last close; NaN   |
"""

# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.flags import extra, flags
from gpuquant.backtesting.kernels.records import Past, Prices


def close_at(prices: Prices, j, t):
    """The close of bar `t`; where the asset does not trade, the last one."""
    return prices.close[prices.first_asset + j, prices.left_padding + t]


def fill_at(prices: Prices, j, t):
    """The price at which orders fill at bar `t`; NaN where the asset does not trade."""
    return prices.fill[prices.first_asset + j, prices.left_padding + t]


def extra_at(prices: Prices, what, j, t):
    """A field of bar `t` besides its close, by its number in `extra`."""
    return prices.extra[what, prices.first_asset + j, prices.left_padding + t]


def split_at(prices: Prices, j, t):
    """The shares that one share becomes at the beginning of bar `t`."""
    return extra_at(prices, extra.splits, j, t)


def value_of(units, price):
    """What units are worth; nothing where there are none, whatever the price."""
    return units * price if units != 0.0 else 0.0


def shares_since(prices: Prices, j, since, t):
    """The shares that one share of bar `since` has become at bar `t`."""
    shares = 1.0
    if flags.actions:
        shares = extra_at(prices, extra.shares, j, t) / extra_at(prices, extra.shares, j, since)
    return shares


def last_close(prices: Prices, j, t):
    """The close before bar `t`, of a share as it is after a split at its beginning."""
    price = close_at(prices, j, t - 1)
    if flags.actions:
        price = price / split_at(prices, j, t)
    return price


def fill_or_last_close(prices: Prices, j, t):
    """The fill price of bar `t`, or the last close where the asset does not trade."""
    price = fill_at(prices, j, t)
    if flags.allow_halts:
        price = price if price > 0.0 else last_close(prices, j, t)
    return price


def first_price(prices: Prices, j, t, fill):
    """The first price of bar `t` that an order may meet: its open, or where no range is known the
    price at which orders fill.
    """
    return extra_at(prices, extra.open, j, t) if flags.ranges else fill


def bar_span(prices: Prices, j, t, first):
    """The lowest and the highest known price of bar `t`, whose first is `first`."""
    low = min(first, close_at(prices, j, t))
    high = max(first, close_at(prices, j, t))
    if flags.ranges:
        low = extra_at(prices, extra.low, j, t)
        high = extra_at(prices, extra.high, j, t)
    return low, high


def bars_back(prices: Prices, n):
    """n, or where n is no number of bars so many that only NaN is there: never the future."""
    return i64(n) if (n >= 0.0) and (n < prices.left_padding) else prices.left_padding


def past_sum(past: Past, n):
    """The sum of the last n closes in whole ticks, of shares as they are now; NaN before n bars."""
    asset = past.prices.first_asset + past.asset
    end = past.prices.left_padding + past.bar + 1
    return past.prices.ticks[asset, end] - past.prices.ticks[asset, end - bars_back(past.prices, n)]


def past_close(past: Past, n):
    """The close n bars ago, of a share as it is now; NaN before the first."""
    then = past.bar - bars_back(past.prices, n)
    price = close_at(past.prices, past.asset, then)
    if flags.actions:
        price = price / shares_since(past.prices, past.asset, then, past.bar)
    return price


def past_price(past: Past, what, n):
    """A price of the bar n bars ago, of a share as it is now; NaN before the first."""
    then = past.bar - bars_back(past.prices, n)
    price = extra_at(past.prices, what, past.asset, then)
    if flags.actions:
        price = price / shares_since(past.prices, past.asset, then, past.bar)
    return price


def past_open(past: Past, n):
    """The open n bars ago; NaN before the first."""
    return past_price(past, extra.open, n)


def past_high(past: Past, n):
    """The high n bars ago; NaN before the first."""
    return past_price(past, extra.high, n)


def past_low(past: Past, n):
    """The low n bars ago; NaN before the first."""
    return past_price(past, extra.low, n)


def past_volume(past: Past, n):
    """The volume n bars ago, in shares as they are now; NaN before the first."""
    then = past.bar - bars_back(past.prices, n)
    volume = extra_at(past.prices, extra.volume, past.asset, then)
    if flags.actions:
        volume = volume * shares_since(past.prices, past.asset, then, past.bar)
    return volume
