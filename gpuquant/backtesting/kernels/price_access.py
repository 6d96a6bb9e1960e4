"""What the walk reads of a bar, and what a rule may ask of its parameter `past`: the last bars of
its asset, never one to come.

Kernel source, as `walk.py`. `prices` is what an account may read: the sums of the closes in whole
ticks, the closes, the prices at which orders fill and what else the panel knows, by asset and bar;
the number of places of NaN that they begin with, which no window reaches beyond; and the account's
first asset. `j` counts its assets from there. `past` is `prices`, `j` and the bar.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def asset_of(prices, j):
    """The panel's number of asset `j`."""
    _sums, _close, _fill, _extra, _lead, asset0 = prices
    return asset0 + j


def close_of(prices, j, t):
    """The close of bar `t`."""
    _sums, close, _fill, _extra, lead, asset0 = prices
    return close[u64(asset0 + j), u64(lead + t)]


def fill_of(prices, j, t):
    """The price at which orders fill at bar `t`."""
    _sums, _close, fill, _extra, lead, asset0 = prices
    return fill[u64(asset0 + j), u64(lead + t)]


def extra_of(prices, what, j, t):
    """What else is known of bar `t`, by its place."""
    _sums, _close, _fill, extra, lead, asset0 = prices
    return extra[what, u64(asset0 + j), u64(lead + t)]


def shares_since(prices, j, since, t):
    """How many shares one share of bar `since` has become at bar `t`, by the splits between."""
    shares = 1.0
    if ACTIONS:
        shares = extra_of(prices, SHARES, j, t) / extra_of(prices, SHARES, j, since)
    return shares


def last_close(prices, j, t):
    """The close before bar `t`, restated for a split at its beginning."""
    price = close_of(prices, j, t - 1)
    if ACTIONS:
        price = price / extra_of(prices, SPLIT, j, t)
    return price


def bars_back(prices, n):
    """n, or so many bars that they reach into the NaN before the first: never into the future."""
    _sums, _close, _fill, _extra, lead, _asset0 = prices
    return i64(n) if (n >= 0.0) and (n < lead) else lead


def past_sum(past, n):
    """Sum of the last n closes in whole ticks, all restated for the same splits; NaN before
    there are n.
    """
    prices, j, t = past
    sums, _close, _fill, _extra, lead, asset0 = prices
    return (
        sums[u64(asset0 + j), u64(lead + t + 1)]
        - sums[u64(asset0 + j), u64(lead + t + 1 - bars_back(prices, n))]
    )


def past_close(past, n):
    """The close n bars ago, of a share as it is now; NaN before the first."""
    prices, j, t = past
    then = t - bars_back(prices, n)
    price = close_of(prices, j, then)
    if ACTIONS:
        price = price / shares_since(prices, j, then, t)
    return price


def past_of(past, what, n):
    """A price of the bar n bars ago, by its place, of a share as it is now; NaN before the
    first.
    """
    prices, j, t = past
    then = t - bars_back(prices, n)
    price = extra_of(prices, what, j, then)
    if ACTIONS:
        price = price / shares_since(prices, j, then, t)
    return price


def past_open(past, n):
    """The open n bars ago; NaN before the first."""
    return past_of(past, OPEN, n)


def past_high(past, n):
    """The high n bars ago; NaN before the first."""
    return past_of(past, HIGH, n)


def past_low(past, n):
    """The low n bars ago; NaN before the first."""
    return past_of(past, LOW, n)


def past_volume(past, n):
    """The volume n bars ago, in shares as they are now; NaN before the first."""
    prices, j, t = past
    then = t - bars_back(prices, n)
    volume = extra_of(prices, VOLUME, j, then)
    if ACTIONS:
        volume = volume * shares_since(prices, j, then, t)
    return volume
