"""Implied volatility: the volatility at which Black's or Bachelier's formula gives a price."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpuquant.data.choices import decode
from gpuquant.data.columns import as_column
from gpuquant.data.domains import call_or_put, nonnegative, positive, real
from gpuquant.device import Device, gpu_of, on_host, resolve_device
from gpuquant.errors import InputError, unknown
from gpuquant.pricing.batch import Batch
from gpuquant.pricing.inversion import FINE, HIGH, LOW, NONE, SHIFTED, volatilities
from gpuquant.pricing.kernels.inversion_loop import MODELS

OWN = "implied_volatility:"  # of whose arguments an error tells
PART = 8192  # rows at once: their temporaries stay in the cache


def implied_volatility(
    *,
    price: Any,
    option_type: Any,
    spot: Any,
    strike: Any,
    maturity: Any,
    rate: Any,
    dividend_yield: Any = 0.0,
    model: str = "black",
    shift: Any = 0.0,
    reasons: bool = False,
    device: str | Device = "auto",
) -> Any:
    """The volatility of each price, for all rows at once.

    Parameters
    ----------
    price : float or shape (n,)
        Of the option, in currency units.
    option_type : str or shape (n,)
        call or put.
    spot, strike, maturity, rate, dividend_yield : float or shape (n,)
        As in `models.BlackScholes` and `payoffs.European`.
    model : str
        black: the forward is lognormal. bachelier: it is normal, and spot and strike may be
        negative.
    shift : float or shape (n,)
        Of Black's model: forward + shift is lognormal.
    reasons : bool
        Also say of each row why it has no volatility.

    Returns
    -------
    float or array, shape (n,)
        Per square root of a year: of the logarithm of forward + shift under Black, of the forward
        in currency units under Bachelier. NaN where a row has none: a column is outside its domain,
        the price is outside the bounds of arbitrage, or rounding of the price moves the volatility
        by more than 1 %. With `reasons`, a pair of it and an array of texts, empty where there is a
        volatility. The result is a CuPy array on the GPU if an argument is on that GPU and the work
        is done there.

    Raises
    ------
    InputError
        An argument that is one number and outside its domain, or of a wrong length.

    Notes
    -----
    Within 1e-12 of the volatility, relative, wherever the price determines it that well: a price in
    the money has lost what its intrinsic value takes of 16 digits.

    References
    ----------
    Black (1976); Bachelier (1900). The numerical method is that of `kernels.inversion_loop`.

    Examples
    --------
    >>> import gpuquant as gq
    >>> quotes = {"option_type": "call", "spot": 100.0, "strike": 100.0, "maturity": 1.0}
    >>> round(gq.implied_volatility(price=9.0, rate=0.02, **quotes), 4)
    0.2021
    >>> found, why = gq.implied_volatility(price=[9.0, 120.0], rate=0.02, reasons=True, **quotes)
    >>> found.round(4).tolist(), why.tolist()
    ([0.2021, nan], ['', 'price 120.0 is not below its bound, 100'])
    """
    if model not in MODELS:
        raise unknown("model", model, MODELS)
    plain = model == "black" and np.ndim(shift) == 0 and shift == 0.0
    level = positive() if plain else real()  # what is shifted may be negative
    given = {
        "price": (price, nonnegative()),
        "option_type": (option_type, call_or_put()),
        "spot": (spot, level),
        "strike": (strike, level),
        "maturity": (maturity, positive()),
        "rate": (rate, real()),
        "dividend_yield": (dividend_yield, real()),
        "shift": (shift, real()),
    }
    columns, scalar = _columns(given)
    n = max(math.prod(value.shape) for value in columns.values())
    device = resolve_device(device, work=float(n), inputs=columns.values())
    on = {name: device.put(value, name, np.float64) for name, value in columns.items()}
    wrong = {
        name: _checked(on[name], n, name, spec.metadata["domain"], np.ndim(value) == 0)
        for name, (value, spec) in given.items()
    }
    result, codes = device.xp.empty(n), device.xp.empty(n)

    def part(which: slice) -> None:
        some = {name: value if len(value) == 1 else value[which] for name, value in on.items()}
        count = min(which.stop, n) - which.start
        result[which], codes[which] = volatilities(some, model, count, device)

    device.each(part, n, PART)
    for mask in wrong.values():
        result[device.xp.broadcast_to(mask, (n,))] = np.nan
    there = any(device.holds(value) for value in columns.values())
    told = result if there else device.get(result, "implied_volatility")
    told = float(told[0]) if scalar else told
    if not reasons:
        return told
    rules = {name: spec.metadata["domain"].rule for name, (_, spec) in given.items()}
    seen, bad = ({k: device.get(v, k) for k, v in some.items()} for some in (on, wrong))
    why = _reasons(seen, bad, device.get(codes, "reasons"), rules)
    if gpu_of(option_type) is None:  # the words themselves, where a row's is none
        for row in np.flatnonzero(bad["option_type"]).tolist():
            word = np.atleast_1d(np.asarray(option_type, dtype=object))[row]
            why[row] = f"option_type = {word!r}: {rules['option_type']}"
    return told, why[0] if scalar else why


def implied_by(batch: Batch, prices: np.ndarray) -> np.ndarray:
    """Black's volatilities of the prices of vanilla rows, shape (n,); NaN where there is none."""
    model, payoff, row = batch.model, batch.payoff, batch.together()
    forward = model.forward(model, payoff.maturity, np)
    discount = model.discount_factor(model, payoff.maturity, np)
    fine = np.isfinite(prices) & (prices > 0.0)
    found = implied_volatility(
        price=np.where(fine, prices, 0.0) / discount,
        option_type=np.broadcast_to(row.option_type, len(prices)),
        spot=np.broadcast_to(forward, len(prices)),
        strike=np.broadcast_to(row.strike, len(prices)),
        maturity=np.broadcast_to(payoff.maturity, len(prices)),
        rate=0.0,
        device="cpu",
    )
    return np.asarray(found)


def _columns(given: dict[str, tuple[Any, Any]]) -> tuple[dict[str, Any], bool]:
    """The arguments as columns, each where it lies; and whether all of them are single numbers."""
    host = {name: on_host(one, name) for name, (one, _) in given.items() if gpu_of(one) is None}
    scalar = len(host) == len(given) and all(np.ndim(value) == 0 for value in host.values())
    columns = {
        name: value
        if name not in host
        else decode(host[name], spec.metadata["domain"], name, OWN, strict=np.ndim(value) == 0)
        if spec.metadata["domain"].words
        else as_column(host[name], spec.metadata["domain"], name, OWN)
        for name, (value, spec) in given.items()
    }
    return columns, scalar


def _checked(values: Any, n: int, name: str, domain: Any, single: bool) -> Any:
    """Which rows of a column are outside its domain; an error where it is a single number."""
    if values.shape not in ((1,), (n,)):
        raise InputError(
            f"{name} has shape {values.shape} where another argument has {n} rows: lengths "
            "must be equal or 1"
        )
    if domain.words:
        first, second = domain.codes
        wrong = (values != first) & (values != second)
    else:
        wrong = domain.bad(values)
    if single and bool(wrong[0]):
        raise InputError(f"{name}[0] = {float(values[0])!r}: {domain.rule}")
    return wrong


def _forward(on: dict[str, Any], xp: Any) -> Any:
    growth = xp.exp((on["rate"] - on["dividend_yield"]) * on["maturity"])
    return on["spot"] * growth + on["shift"]


@np.errstate(all="ignore")  # a row without a volatility may have numbers beyond all bounds
def _reasons(
    on: dict[str, Any], wrong: dict[str, Any], codes: np.ndarray, rules: dict[str, str]
) -> np.ndarray:
    """A text for each row; empty where it has a volatility."""
    why = np.full(len(codes), "", dtype=object)

    def at(values: Any, row: int) -> float:
        return float(values[row if len(values) > 1 else 0])

    forward = np.broadcast_to(_forward(on, np), len(codes))
    discount = np.broadcast_to(np.exp(-on["rate"] * on["maturity"]), len(codes))
    for row in np.flatnonzero(codes != FINE).tolist():
        price, strike, shift = (at(on[name], row) for name in ("price", "strike", "shift"))
        sign, ahead = at(on["option_type"], row), forward[row]
        low = max(sign * (ahead - strike - shift), 0.0) * discount[row]
        high = (ahead if sign > 0.0 else strike + shift) * discount[row]
        why[row] = {
            LOW: f"price {price!r} is below its bound, {low:.12g}",
            HIGH: f"price {price!r} is not below its bound, {high:.12g}",
            NONE: f"price {price!r} carries no volatility: rounding of it moves the volatility by "
            "more than 1 %",
            SHIFTED: f"forward + shift = {ahead:.12g} and strike + shift = "
            f"{strike + shift:.12g}: must be > 0",
        }[codes[row]]
    for name, mask in wrong.items():
        for row in np.flatnonzero(mask).tolist():
            why[row] = f"{name} = {at(on[name], row)!r}: {rules[name]}"
    return why
