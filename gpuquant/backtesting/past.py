"""What a rule may ask of its parameter `past`: the last bars of its asset, never one to come.

Kernel source, as `walk.py`. `past` is the prices, the asset and the bar; they begin with so many NaN that no window reaches further.
"""
# mypy: ignore-errors
# ruff: noqa: F821


def bars_back(n, lead):
    """n, or so many bars that they reach into the NaN before the first: never into the future."""
    return i64(n) if (n >= 0.0) and (n < lead) else lead


def past_sum(past, n):
    """Sum of the last n closes in whole ticks; NaN before there are n."""
    sums, _close, _extra, lead, asset, t = past
    return sums[u64(asset), u64(lead + t + 1)] - sums[u64(asset), u64(lead + t + 1 - bars_back(n, lead))]


def past_close(past, n):
    """The close n bars ago; NaN before the first."""
    _sums, close, _extra, lead, asset, t = past
    return close[u64(asset), u64(lead + t - bars_back(n, lead))]


def past_of(past, what, n):
    """What else is known of the bar n bars ago, by its place; NaN before the first."""
    _sums, _close, extra, lead, asset, t = past
    return extra[what, u64(asset), u64(lead + t - bars_back(n, lead))]


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
