"""Implied volatility: the volatility at which Black's formula gives a price."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpuquant.data.columns import as_column
from gpuquant.data.domains import call_or_put, nonnegative, positive, real
from gpuquant.device import Device, gpu_of, on_host, resolve_device
from gpuquant.errors import InputError
from gpuquant.payoffs.lognormal import black


def implied_volatility(
    *,
    price: Any,
    option_type: Any,
    spot: Any,
    strike: Any,
    maturity: Any,
    rate: Any,
    dividend_yield: Any = 0.0,
    device: str | Device = "auto",
) -> Any:
    """The Black-Scholes volatility of each price.

    Solved on the out-of-the-money side by Newton steps kept inside a bracket, for all rows at once.

    Parameters
    ----------
    price : float or shape (n,)
        Of the option, in currency units.
    option_type : str or shape (n,)
        call or put.
    spot, strike, maturity, rate, dividend_yield : float or shape (n,)
        As in `models.BlackScholes` and `payoffs.European`.

    Returns
    -------
    float or array, shape (n,)
        Per square root of a year; NaN where a price lies outside the no-arbitrage bounds. The
        result is a CuPy array on the GPU if an argument is on that GPU and the work is done there.

    Raises
    ------
    InputError
        An argument outside its domain, named with its row.

    Notes
    -----
    Accurate to 1e-12 relative wherever the price determines the volatility that well.

    References
    ----------
    Manaster and Koehler (1982) for the starting point at the inflexion of the price in volatility.
    """
    given = {
        "price": (price, nonnegative()),
        "option_type": (option_type, call_or_put()),
        "spot": (spot, positive()),
        "strike": (strike, positive()),
        "maturity": (maturity, positive()),
        "rate": (rate, real()),
        "dividend_yield": (dividend_yield, real()),
    }
    columns, scalar = {}, True
    for name, (value, spec) in given.items():
        if gpu_of(value) is not None:
            columns[name], scalar = value, False
            continue
        value = on_host(value, name)
        scalar = scalar and (isinstance(value, str) or np.ndim(value) == 0)
        columns[name] = as_column(value, spec.metadata["domain"], name, "implied_volatility:")
    n = max(math.prod(value.shape) for value in columns.values())
    device = resolve_device(device, work=float(n), inputs=columns.values())
    on = {
        name: _checked(device.put(value, name, np.float64), n, name, given[name][1])
        for name, value in columns.items()
    }
    result = _solve(on, device.xp, device.special)
    if any(device.holds(value) for value in columns.values()):
        return result
    result = device.get(result, "implied_volatility")
    return float(result[0]) if scalar else result


def _checked(values: Any, n: int, name: str, spec: Any) -> Any:
    """A column on its device, if it is of one number or of `n`, and all in its domain."""
    domain = spec.metadata["domain"]
    if values.shape not in ((1,), (n,)):
        raise InputError(
            f"{name} has shape {values.shape} where another argument has {n} rows: lengths "
            "must be equal or 1"
        )
    wrong = domain.bad(values)
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(f"{name}[{row}] = {float(values[row])!r}: {domain.rule}")
    return values


def _solve(on: dict[str, Any], xp: Any, special: Any) -> Any:
    years = on["maturity"]
    forward = on["spot"] * xp.exp((on["rate"] - on["dividend_yield"]) * years)
    undiscounted = on["price"] * xp.exp(on["rate"] * years)
    sign = on["option_type"]
    strike = on["strike"]
    intrinsic = xp.maximum(sign * (forward - strike), 0.0)
    side = xp.where(forward > strike, -1.0, 1.0)  # the out-of-the-money option, by parity
    target = undiscounted - intrinsic
    ceiling = xp.minimum(forward, strike)
    with np.errstate(divide="ignore", invalid="ignore"):
        moneyness = xp.abs(xp.log(forward / strike))
        low, high = xp.zeros_like(target), xp.full_like(target, 20.0)
        deviation = xp.maximum(xp.sqrt(2.0 * moneyness), 1e-3)
        for _step in range(100):
            value = black(side, forward, strike, deviation * deviation, 1.0, xp, special)
            d1 = xp.log(forward / strike) / deviation + 0.5 * deviation
            slope = forward * xp.exp(-0.5 * d1 * d1) * 0.3989422804014327
            high = xp.where(value > target, deviation, high)
            low = xp.where(value > target, low, deviation)
            # Newton on the logarithm of the price: nearly linear far from the money
            newton = deviation - (xp.log(value) - xp.log(target)) * value / slope
            inside = (newton > low) & (newton < high)
            following = xp.where(inside, newton, 0.5 * (low + high))
            if bool((xp.abs(following - deviation) <= 1e-15 * deviation).all()):
                deviation = following
                break
            deviation = following
    valid = (target > 0.0) & (target < ceiling)
    flat = target == 0.0
    return xp.where(valid, deviation / xp.sqrt(years), xp.where(flat, 0.0, xp.nan))
