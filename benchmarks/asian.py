"""How many path-steps of an Asian option a second, beside NumPy, QuantLib and torch, each on one
core?
"""

from __future__ import annotations

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, ratio

SPOT, STRIKE, RATE, VOLATILITY, DATES = 100.0, 100.0, 0.05, 0.2, 252
PATHS = 400_000
MODEL = gq.models.BlackScholes(spot=SPOT, rate=RATE, volatility=VOLATILITY)
ASIAN = gq.payoffs.Asian(option_type="call", strike=STRIKE, maturity=1.0, fixings=DATES)


def ours(
    paths: int = PATHS, device: str = "cpu:1", precision: str = "single"
) -> tuple[float, float]:
    """Price and standard error."""
    found = gq.price(
        ASIAN,
        MODEL,
        paths=paths,
        engine="monte_carlo",
        precision=precision,
        device=device,
        progress=False,
    )
    return found.price, found.std_error


def numpy_blocked(paths: int, block: int = 20_000) -> float:
    """NumPy in float32, blocked to stay in cache."""
    draw, total, step = np.random.default_rng(1), 0.0, 1.0 / DATES
    a, b = np.float32((RATE - 0.5 * VOLATILITY**2) * step), np.float32(VOLATILITY * step**0.5)
    for _ in range(paths // block):
        x, average = np.zeros(block, np.float32), np.zeros(block, np.float32)
        for _ in range(DATES):
            x += a + b * draw.standard_normal(block, dtype=np.float32)
            average += np.exp(x)
        total += np.maximum(SPOT * average / DATES - STRIKE, 0).sum(dtype=float)
    return total / paths * np.exp(-RATE)


def torch_eager(paths: int, block: int = 100_000, device: str = "cpu") -> float:
    """torch in float32, eager."""
    import torch

    total, step = 0.0, 1.0 / DATES
    a, b = (RATE - 0.5 * VOLATILITY**2) * step, VOLATILITY * step**0.5
    for _ in range(paths // block):
        x, average = torch.zeros(block, device=device), torch.zeros(block, device=device)
        for _ in range(DATES):
            x += a + b * torch.randn(block, device=device)
            average += torch.exp(x)
        total += torch.clamp(SPOT * average / DATES - STRIKE, min=0).sum().item()
    return total / paths * float(np.exp(-RATE))


def quantlib(paths: int, seed: int = 1) -> float:
    """QuantLib's own Monte Carlo engine for the discrete arithmetic average."""
    import QuantLib as ql

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    spot = ql.QuoteHandle(ql.SimpleQuote(SPOT))
    curves = [ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in (0.0, RATE)]
    vol = ql.BlackVolTermStructureHandle(
        ql.BlackConstantVol(today, ql.NullCalendar(), VOLATILITY, count)
    )
    process = ql.BlackScholesMertonProcess(spot, *curves, vol)
    dates = [today + ql.Period(round(365 * (k + 1) / DATES), ql.Days) for k in range(DATES)]
    option = ql.DiscreteAveragingAsianOption(
        ql.Average.Arithmetic,
        0.0,
        0,
        dates,
        ql.PlainVanillaPayoff(ql.Option.Call, STRIKE),
        ql.EuropeanExercise(today + ql.Period(365, ql.Days)),
    )
    option.setPricingEngine(
        ql.MCDiscreteArithmeticAPEngine(process, "pseudorandom", requiredSamples=paths, seed=seed)
    )
    return option.NPV()


def run() -> list[Row]:
    """Verify that all four agree, then time."""
    import torch

    torch.set_num_threads(1)
    price, error = ours()
    rivals = {
        "NumPy blocked float32": (numpy_blocked, 100_000, 11.0),
        "QuantLib MC": (quantlib, 20_000, 180.0),
        "torch eager float32": (torch_eager, 200_000, 4.5),
    }
    rows = []
    for name, (work, paths, bar) in rivals.items():
        theirs = work(paths)
        spread = error * (PATHS / paths + 1.0) ** 0.5
        assert abs(theirs - price) < 5 * spread, (name, theirs, price, spread)
        value, fast, slow = ratio(
            ours, lambda work=work, paths=paths: work(paths), 5, PATHS * DATES, paths * DATES
        )
        rows.append(
            Row(
                f"Asian, 252 dates, float32, one core, against {name}",
                value,
                "x",
                bar,
                True,
                f"{fast / 1e6:.0f} against {slow / 1e6:.1f} M path-steps/s",
            )
        )
    return rows
