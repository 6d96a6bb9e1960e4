"""What the walk reads of a bar, and what a rule may ask of its parameter `past`: the last bars of its asset, never one to come.

Kernel source, as `walk.py`. `prices` is what an account may read: the sums of the closes in whole ticks, the closes, the prices at which
orders fill and what else the panel knows, by asset and bar; the number of places of NaN that they begin with, which no window reaches beyond;
and the account's first asset. `j` counts its assets from there. `past` is `prices`, `j` and the bar.
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


def bars_back(prices, n):
    """n, or so many bars that they reach into the NaN before the first: never into the future."""
    _sums, _close, _fill, _extra, lead, _asset0 = prices
    return i64(n) if (n >= 0.0) and (n < lead) else lead


def past_sum(past, n):
    """Sum of the last n closes in whole ticks; NaN before there are n."""
    prices, j, t = past
    sums, _close, _fill, _extra, lead, asset0 = prices
    return sums[u64(asset0 + j), u64(lead + t + 1)] - sums[u64(asset0 + j), u64(lead + t + 1 - bars_back(prices, n))]


def past_close(past, n):
    """The close n bars ago; NaN before the first."""
    prices, j, t = past
    return close_of(prices, j, t - bars_back(prices, n))


def past_of(past, what, n):
    """What else is known of the bar n bars ago, by its place; NaN before the first."""
    prices, j, t = past
    return extra_of(prices, what, j, t - bars_back(prices, n))


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
    """The volume n bars ago; NaN before the first."""
    return past_of(past, VOLUME, n)
