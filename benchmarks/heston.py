"""How many Heston path-steps a second, beside QuantLib's quadratic-exponential process, each on
one core?
"""

from __future__ import annotations

import gpuquant as gq
from benchmarks.common import Row, ratio

PATHS, STEPS = 200_000, 252
MODEL = gq.models.Heston(
    spot=100.0, rate=0.05, v0=0.04, kappa=1.5, long_variance=0.04, vol_of_vol=0.5, correlation=-0.7
)
CALL = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)


def ours() -> tuple[float, float]:
    """Price and standard error, martingale correction included."""
    found = gq.price(
        CALL,
        MODEL,
        engine="monte_carlo",
        paths=PATHS,
        steps=STEPS,
        precision="single",
        device="cpu:1",
        progress=False,
    )
    return found.price, found.std_error


def quantlib(paths: int, seed: int = 1) -> float:
    """QuantLib's Monte Carlo engine on its QE process with martingale correction."""
    import QuantLib as ql

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    curves = [ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in (0.05, 0.0)]
    process = ql.HestonProcess(
        *curves,
        ql.QuoteHandle(ql.SimpleQuote(100.0)),
        0.04,
        1.5,
        0.04,
        0.5,
        -0.7,
        ql.HestonProcess.QuadraticExponentialMartingale,
    )
    option = ql.VanillaOption(
        ql.PlainVanillaPayoff(ql.Option.Call, 100.0),
        ql.EuropeanExercise(today + ql.Period(365, ql.Days)),
    )
    option.setPricingEngine(
        ql.MCEuropeanHestonEngine(
            process, "pseudorandom", timeSteps=STEPS, requiredSamples=paths, seed=seed
        )
    )
    return option.NPV()


def run() -> list[Row]:
    """Verify that both agree, then time."""
    price, error = ours()
    paths = 10_000
    theirs = quantlib(paths)
    assert abs(theirs - price) < 5 * error * (PATHS / paths + 1) ** 0.5, (theirs, price)
    value, fast, slow = ratio(ours, lambda: quantlib(paths), 5, PATHS * STEPS, paths * STEPS)
    detail = f"{fast / 1e6:.0f} against {slow / 1e6:.2f} M path-steps/s"
    return [
        Row(
            "Heston QE with martingale correction, float32, one core, against QuantLib MC",
            value,
            "x",
            60.0,
            True,
            detail,
        )
    ]
