"""How long do 10,000 Heston prices take to 1e-10, beside QuantLib's analytic engine one at a
time?
"""

from __future__ import annotations

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, ratio

ROWS = 10_000
_draw = np.random.default_rng(5)
COLUMNS = {
    "spot": _draw.uniform(80.0, 120.0, ROWS),
    "strike": _draw.uniform(70.0, 130.0, ROWS),
    "maturity": _draw.integers(36, 1095, ROWS) / 365.0,
    "rate": _draw.uniform(0.0, 0.05, ROWS),
    "dividend_yield": _draw.uniform(0.0, 0.03, ROWS),
    "v0": _draw.uniform(0.01, 0.1, ROWS),
    "kappa": _draw.uniform(0.5, 4.0, ROWS),
    "long_variance": _draw.uniform(0.01, 0.1, ROWS),
    "vol_of_vol": _draw.uniform(0.1, 0.9, ROWS),
    "correlation": _draw.uniform(-0.9, 0.2, ROWS),
}
MODEL = gq.models.Heston(
    **{name: value for name, value in COLUMNS.items() if name not in ("strike", "maturity")}
)
CALLS = gq.payoffs.European(
    option_type="call", strike=COLUMNS["strike"], maturity=COLUMNS["maturity"]
)
FEW = 500  # of QuantLib's: its loop costs the same for each
# of its adaptive rule; Gauss-Laguerre needs more than 192 points here, and 2 ms to make them
TOLERANCE = 1e-10


def ours() -> np.ndarray:
    """All prices."""
    return gq.price(CALLS, MODEL, device="cpu:2", progress=False).price


def quantlib(rows: int) -> np.ndarray:
    """The first `rows` prices by its adaptive rule, its fastest way to 1e-10, each from objects
    of its own.
    """
    import QuantLib as ql

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    out = np.empty(rows)
    for row, (s, x, t, r, q, v0, kappa, theta, sigma, rho) in enumerate(
        zip(*(value[:rows].tolist() for value in COLUMNS.values()), strict=True)
    ):
        curves = [
            ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count)) for rate in (r, q)
        ]
        process = ql.HestonProcess(
            *curves, ql.QuoteHandle(ql.SimpleQuote(s)), v0, kappa, theta, sigma, rho
        )
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(ql.Option.Call, x), ql.EuropeanExercise(today + round(365 * t))
        )
        option.setPricingEngine(
            ql.AnalyticHestonEngine(ql.HestonModel(process), TOLERANCE, 100_000)
        )
        out[row] = option.NPV()
    return out


def run() -> list[Row]:
    """Verify that both agree to 1e-10, then time."""
    np.testing.assert_allclose(ours()[:FEW], quantlib(FEW), rtol=0, atol=1e-10)
    value, fast, slow = ratio(ours, lambda: quantlib(FEW), 9, ROWS, FEW)
    return [
        Row(
            "10,000 Heston prices to 1e-10, against QuantLib's analytic engine",
            value,
            "x",
            30.0,
            True,
            f"{1e6 / fast:.1f} against {1e6 / slow:.0f} us each",
        )
    ]
