"""How long do 20,000 European options take, beside QuantLib one at a time and fast-vollib all at
once?
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, ratio

ROWS, MANY = 20_000, 1_000_000


def drawn(rows: int) -> dict[str, np.ndarray]:
    """The columns of so many options."""
    draw = np.random.default_rng(3)
    return {
        "spot": draw.uniform(80.0, 120.0, rows),
        "strike": draw.uniform(70.0, 130.0, rows),
        "maturity": draw.integers(20, 1000, rows) / 365.0,
        "rate": draw.uniform(0.0, 0.05, rows),
        "dividend_yield": draw.uniform(0.0, 0.03, rows),
        "volatility": draw.uniform(0.1, 0.5, rows),
        "sign": np.where(draw.random(rows) < 0.5, 1.0, -1.0),
    }


COLUMNS = drawn(ROWS)
MODEL = gq.models.BlackScholes(
    **{name: COLUMNS[name] for name in ("spot", "rate", "dividend_yield", "volatility")}
)
OPTIONS = gq.payoffs.European(
    option_type=COLUMNS["sign"], strike=COLUMNS["strike"], maturity=COLUMNS["maturity"]
)
FEW = 1000  # of QuantLib's: its loop costs the same for each
TURNS = 20  # of ours in one timing, so that both take as long


def ours() -> np.ndarray:
    """All prices."""
    return gq.price(OPTIONS, MODEL, device="cpu:2", progress=False).price


def quantlib(rows: int) -> np.ndarray:
    """The first `rows` prices, each from quotes, curves, process, option and engine of its own."""
    import QuantLib as ql

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count, calendar = ql.Actual365Fixed(), ql.NullCalendar()
    out = np.empty(rows)
    for k, (s, x, t, r, q, v, sign) in enumerate(
        zip(*(value[:rows].tolist() for value in COLUMNS.values()), strict=True)
    ):
        carry = [ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count)) for rate in (q, r)]
        volatility = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, calendar, v, count))
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(ql.SimpleQuote(s)), *carry, volatility
        )
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(ql.Option.Call if sign > 0 else ql.Option.Put, x),
            ql.EuropeanExercise(today + round(365 * t)),
        )
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        out[k] = option.NPV()
    return out


def vollib() -> np.ndarray:
    """All prices by fast-vollib on numpy."""
    from fast_vollib import fast_black_scholes_merton

    flags = np.where(COLUMNS["sign"] > 0, "c", "p")
    s, x, t, r, q, v = (
        COLUMNS[name]
        for name in ("spot", "strike", "maturity", "rate", "dividend_yield", "volatility")
    )
    return np.asarray(
        fast_black_scholes_merton(flags, s, x, t, r, v, q, return_as="numpy", backend="numpy")
    )


def our_greeks() -> np.ndarray:
    """Price and five Greeks of each."""
    found = gq.price(OPTIONS, MODEL, greeks=True, device="cpu:2", progress=False).columns
    return np.stack([found[name] for name in ("delta", "gamma", "vega", "rho", "theta")])


def vollib_greeks() -> np.ndarray:
    """The same by fast-vollib on numpy, in its units: per 1 % of volatility and rate, per day."""
    from fast_vollib import fast_black_scholes_merton, get_all_greeks

    flags = np.where(COLUMNS["sign"] > 0, "c", "p")
    s, x, t, r, q, v = (
        COLUMNS[name]
        for name in ("spot", "strike", "maturity", "rate", "dividend_yield", "volatility")
    )
    fast_black_scholes_merton(flags, s, x, t, r, v, q, return_as="numpy", backend="numpy")
    found = get_all_greeks(
        flags, s, x, t, r, v, q, model="black_scholes_merton", return_as="dict", backend="numpy"
    )
    factors = {"delta": 1.0, "gamma": 1.0, "vega": 100.0, "rho": 100.0, "theta": 365.0}
    return np.stack([factor * np.asarray(found[name]) for name, factor in factors.items()])


def typed() -> list[Row]:
    """A million options from plain arrays and words, as a caller types them: what it takes to make
    payoff and model is in the time.
    """
    from fast_vollib import fast_black_scholes_merton, get_all_greeks

    columns = drawn(MANY)
    names = ("spot", "strike", "maturity", "rate", "volatility", "dividend_yield")
    s, x, t, r, v, q = (columns[name] for name in names)
    words = np.where(columns["sign"] > 0, "call", "put")
    flags = np.where(columns["sign"] > 0, "c", "p")

    def mine(**how: Any) -> Any:
        options = gq.payoffs.European(option_type=words, strike=x, maturity=t)
        model = gq.models.BlackScholes(spot=s, rate=r, dividend_yield=q, volatility=v)
        return gq.price(options, model, device="cpu:2", progress=False, **how)

    def theirs() -> Any:
        how = {"return_as": "numpy", "backend": "numpy"}
        return np.asarray(fast_black_scholes_merton(flags, s, x, t, r, v, q, **how))

    def their_greeks() -> Any:
        how = {"model": "black_scholes_merton", "return_as": "dict", "backend": "numpy"}
        return theirs(), get_all_greeks(flags, s, x, t, r, v, q, **how)

    np.testing.assert_allclose(mine().price, theirs(), rtol=1e-9, atol=1e-9)
    found = ratio(mine, theirs, 9, MANY, MANY)
    greeks = ratio(partial(mine, greeks=True), their_greeks, 5, MANY, MANY)
    return [
        Row(
            f"a million Europeans{what} as typed, against fast-vollib on numpy",
            value,
            "x",
            bar,
            True,
            f"{fast / 1e6:.1f} against {slow / 1e6:.1f} M a second",
        )
        for what, bar, (value, fast, slow) in (
            ("", 1.5, found),
            (" with five Greeks", None, greeks),
        )
    ]


def repeated(work: Callable[[], np.ndarray]) -> None:
    """The same prices over and over."""
    for _ in range(TURNS):
        work()


def run() -> list[Row]:
    """Verify that all agree, then time."""
    mine = ours()
    np.testing.assert_allclose(mine[:FEW], quantlib(FEW), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mine, vollib(), rtol=1e-9, atol=1e-9)
    loop, fast, slow = ratio(lambda: repeated(ours), lambda: quantlib(FEW), 9, TURNS * ROWS, FEW)
    once, alone, _ = ratio(
        ours, lambda: quantlib(FEW), 21, ROWS, FEW
    )  # after QuantLib has had the caches to itself
    batch, _, theirs = ratio(
        lambda: repeated(ours), lambda: repeated(vollib), 9, TURNS * ROWS, TURNS * ROWS
    )
    np.testing.assert_allclose(our_greeks(), vollib_greeks(), rtol=1e-9, atol=1e-9)
    slower, _, _ = ratio(vollib_greeks, our_greeks, 15)
    return [
        *typed(),
        Row(
            "20,000 Europeans with five Greeks, the time of fast-vollib's on numpy",
            slower,
            "x",
            1.5,
            False,
            "prices and Greeks of both",
        ),
        Row(
            "20,000 Europeans, closed form, against a QuantLib loop",
            loop,
            "x",
            700.0,
            True,
            f"{1e6 / fast:.3f} against {1e6 / slow:.1f} us each",
        ),
        Row(
            "the same, a single call between QuantLib's runs",
            once,
            "x",
            None,
            True,
            f"{1e6 / alone:.3f} us each: caches are cold",
        ),
        Row(
            "20,000 Europeans, closed form, against fast-vollib on numpy",
            batch,
            "x",
            None,
            True,
            f"{fast / 1e6:.1f} against {theirs / 1e6:.1f} M prices/s",
        ),
    ]
