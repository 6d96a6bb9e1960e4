"""How long does a price take to a given standard error, beside QuantLib's best engine for the
contract, and beside our own simulation without a control variate?

Our errors hold the bias of schemes, QuantLib's do not: `agree` says how far the prices may lie
apart for it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, seconds

SPOT = 100.0
NEAR, FAR = 1e-5 * SPOT, 1e-4 * SPOT  # of one contract, and of each in a batch
ROUNDS = 5
SAMPLES = 1 << 15  # of QuantLib's: its error falls as one over the root, its time grows in step
MANY = 100  # contracts of a batch
LEAST = 1023  # the fewest samples of its engines
MODEL = gq.models.BlackScholes(spot=SPOT, rate=0.03, volatility=0.2)
HESTON = {
    "spot": SPOT, "rate": 0.03, "v0": 0.04, "kappa": 1.5, "long_variance": 0.04,
    "vol_of_vol": 0.5, "correlation": -0.7,
}  # fmt: skip
CONTRACT = {"option_type": "call", "strike": 100.0, "maturity": 1.0}
ASIAN = gq.payoffs.Asian(**CONTRACT, fixings=52)
SPOTS = [100.0, 90.0, 110.0, 80.0, 120.0]
BASKET = gq.payoffs.Basket(**CONTRACT, weights=[0.2] * 5)
SEVERAL = gq.models.MultiBlackScholes(spots=SPOTS, rate=0.03, volatilities=[0.2], correlation=0.5)


@dataclass(frozen=True)
class Plain(gq.payoffs.Asian):
    """An Asian without a control variate."""

    @classmethod
    def controls(cls, fixed: dict[str, float]) -> tuple[Any, ...]:
        return ()


def curves(ql: Any) -> tuple[Any, Any]:
    """QuantLib's curves: of dividends, and of the rate."""
    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    return tuple(
        ql.YieldTermStructureHandle(ql.FlatForward(today, rate, count)) for rate in (0.0, 0.03)
    )


def lognormal(ql: Any, spot: float) -> Any:
    """QuantLib's Black-Scholes process."""
    today = ql.Date(2, 1, 2026)
    volatility = ql.BlackConstantVol(today, ql.NullCalendar(), 0.2, ql.Actual365Fixed())
    return ql.BlackScholesMertonProcess(
        ql.QuoteHandle(ql.SimpleQuote(spot)),
        *curves(ql),
        ql.BlackVolTermStructureHandle(volatility),
    )


def heston(ql: Any) -> Any:
    """QuantLib's Heston process."""
    dividends, rate = curves(ql)
    names = ("v0", "kappa", "long_variance", "vol_of_vol", "correlation")
    quote = ql.QuoteHandle(ql.SimpleQuote(SPOT))
    return ql.HestonProcess(rate, dividends, quote, *(HESTON[name] for name in names))


def asian(ql: Any, engine: Any) -> Any:
    """QuantLib's Asian, with 52 dates."""
    today = ql.Date(2, 1, 2026)
    dates = [today + round(365 * k / 52) for k in range(1, 53)]
    option = ql.DiscreteAveragingAsianOption(
        ql.Average.Arithmetic,
        0.0,
        0,
        dates,
        ql.PlainVanillaPayoff(ql.Option.Call, 100.0),
        ql.EuropeanExercise(dates[-1]),
    )
    option.setPricingEngine(engine)
    return option


def rivals() -> dict[str, Callable[[], Any]]:
    """QuantLib's options, each made anew as a caller makes it."""
    import QuantLib as ql

    def plain_asian() -> Any:
        return asian(
            ql,
            ql.MCDiscreteArithmeticAPEngine(
                lognormal(ql, SPOT), "pseudorandom", controlVariate=True,
                requiredSamples=SAMPLES, seed=42,
            ),
        )  # fmt: skip

    def heston_asian() -> Any:
        return asian(
            ql,
            ql.MCDiscreteArithmeticAPHestonEngine(
                heston(ql), "pseudorandom", timeSteps=52, controlVariate=True,
                requiredSamples=SAMPLES, seed=42,
            ),
        )  # fmt: skip

    def basket() -> Any:
        matrix = ql.Matrix(5, 5, 0.5)
        for k in range(5):
            matrix[k][k] = 1.0
        processes = ql.StochasticProcessArray([lognormal(ql, spot) for spot in SPOTS], matrix)
        payoff = ql.PlainVanillaPayoff(ql.Option.Call, 100.0)
        option = ql.BasketOption(
            ql.AverageBasketPayoff(payoff, ql.Array(5, 0.2)),
            ql.EuropeanExercise(ql.Date(2, 1, 2027)),
        )
        option.setPricingEngine(
            ql.MCEuropeanBasketEngine(
                processes, "pseudorandom", timeSteps=1, antitheticVariate=True,
                requiredSamples=SAMPLES, seed=42,
            )
        )  # fmt: skip
        return option

    return {"Asian": plain_asian, "Heston Asian": heston_asian, "basket": basket}


def theirs(make: Callable[[], Any], samples: int, target: float) -> tuple[float, float, float]:
    """QuantLib's price by so many samples, its error, and the seconds to the target."""
    taken, price, error = [], 0.0, 0.0
    for _ in range(ROUNDS):
        option = make()
        taken.append(seconds(option.NPV))
        price, error = option.NPV(), option.errorEstimate()
    share = max((error / target) ** 2, LEAST / samples)
    return price, error, statistics.median(taken) * share


def ours(payoff: Any, model: Any, target: float, **how: Any) -> tuple[float, float, float]:
    """Our price, its error, and the seconds to the target."""
    taken = []
    for _ in range(ROUNDS + 1):
        kept: list[Any] = []
        one = seconds(
            lambda kept=kept: kept.append(
                gq.price(payoff, model, target_error=target, progress=False, **how)
            )
        )
        taken.append(one)
        found = kept[0]
    price, error = (float(np.max(np.atleast_1d(x))) for x in (found.price, found.std_error))
    assert error <= 1.2 * target, found.frame
    return price, error, statistics.median(taken[1:])


def plainly(target: float) -> float:
    """The seconds to the target of our own simulation without a control variate."""
    plain = Plain(**CONTRACT, fixings=52)
    gq.price(plain, MODEL, progress=False)
    found = gq.price(plain, MODEL, paths=1_000_000, progress=False)
    taken = statistics.median(
        seconds(lambda: gq.price(plain, MODEL, paths=1_000_000, progress=False))
        for _ in range(ROUNDS)
    )
    return taken * (float(found.std_error) / target) ** 2


def agree(name: str, one: tuple[float, ...], other: tuple[float, ...], scheme: float) -> None:
    """Refuse to time what does not agree; `scheme` is the bias of both schemes."""
    far = abs(one[0] - other[0])
    assert far < 4.0 * np.hypot(one[1], other[1]) + scheme, (name, one, other)


def run() -> list[Row]:
    """Verify that all agree, then time."""
    options = rivals()
    cases = {
        "Asian": (ASIAN, MODEL, NEAR, 2e-3),  # QuantLib's dates are whole days
        "Heston Asian": (ASIAN, gq.models.Heston(**HESTON), NEAR, 2e-2),
        "basket": (BASKET, SEVERAL, NEAR, 0.0),
    }
    rows = []
    for name, (payoff, model, target, scheme) in cases.items():
        mine, rival = ours(payoff, model, target), theirs(options[name], SAMPLES, target)
        agree(name, mine, rival, scheme)
        rows.append(
            Row(
                f"{name} to a standard error of {target / SPOT:.0e} of spot, against QuantLib's "
                "Monte Carlo",
                rival[2] / mine[2],
                "x",
                20.0,
                True,
                f"{1e3 * mine[2]:.1f} against {1e3 * rival[2]:.1f} ms",
            )
        )
        rows += [_batch(name, payoff, model, rival), _greeks(name, payoff, model, rival)]
        if name == "Asian":
            rows.append(_own(mine[2]))
        if name in ("Asian", "basket"):
            rows += [_sobol(name, payoff, model, rival), _slope(name, payoff, model)]
    return [*rows, *_barrier(FAR)]


def _sobol(name: str, payoff: Any, model: Any, rival: tuple[float, ...]) -> Row:
    """A tenth of the error, by Sobol points; QuantLib takes a hundred times as long for it."""
    target = 0.1 * NEAR
    mine, random = ours(payoff, model, target, draws="sobol"), ours(payoff, model, target)
    agree(name, mine, random, 0.0)
    return Row(
        f"{name} to {target / SPOT:.0e} of spot with Sobol points, against QuantLib's Monte Carlo",
        100.0 * rival[2] / mine[2],
        "x",
        20.0,
        True,
        f"{1e3 * mine[2]:.1f} ms; {1e3 * random[2]:.1f} with random draws",
    )


def _slope(name: str, payoff: Any, model: Any) -> Row:
    """How fast the error falls with the number of Sobol points, without a control variate."""
    alone = type(f"{name}Alone", (type(payoff),), {"controls": classmethod(lambda cls, fixed: ())})
    plain = alone.from_columns(payoff.columns())
    powers, found = np.arange(13, 20, 2), []
    for power in powers:
        errors = [
            gq.price(
                plain, model, draws="sobol", paths=1 << power, seed=k, progress=False
            ).std_error
            for k in range(8)
        ]
        found.append(np.log2(np.mean(np.square(errors))) / 2.0)
    return Row(
        f"{name}: power of the number of Sobol points by which the error falls",
        float(np.polyfit(powers, found, 1)[0]),
        "",
        -0.85,
        False,
        f"from 2^{powers[0]} to 2^{powers[-1]} paths; random draws have -0.5",
    )


BARRIER = gq.payoffs.Barrier(**CONTRACT, barrier_type="down-and-out", barrier=95.0)
GRIDS = ((25, 50, 20), (50, 100, 30), (100, 200, 60), (200, 300, 80), (400, 400, 80))


def _barrier(target: float) -> list[Row]:
    """A barrier watched all the time; QuantLib's best is the coarsest grid that is near enough."""
    import QuantLib as ql

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    option = ql.BarrierOption(
        ql.Barrier.DownOut,
        95.0,
        0.0,
        ql.PlainVanillaPayoff(ql.Option.Call, 100.0),
        ql.EuropeanExercise(today + 365),
    )
    model = ql.HestonModel(heston(ql))

    def solved(grid: tuple[int, int, int]) -> float:
        option.setPricingEngine(ql.FdHestonBarrierEngine(model, *grid))
        return float(option.NPV())

    fine, finest = solved((200, 400, 80)), solved(GRIDS[-1])
    right = 2.0 * finest - fine
    grid = next((one for one in GRIDS if abs(solved(one) - right) < target), GRIDS[-1])
    rival = statistics.median(seconds(lambda: solved(grid)) for _ in range(9))
    own = gq.models.Heston(**HESTON)
    price, error, mine = ours(BARRIER, own, target)
    agree("barrier", (price, error), (right, 0.0), 2e-3)
    many = ours(_strikes(BARRIER), own, target)[2]
    greeks = ours(BARRIER, own, target, greeks=True)[2]
    what = f"a grid of {' x '.join(map(str, grid))}"
    near = f"to {target / SPOT:.0e} of spot, against QuantLib's finite differences"
    return [
        Row(
            f"{name} {near}",
            count * rival / time,
            "x",
            1.0,
            True,
            f"{1e3 * time:.1f} against {1e3 * count * rival:.1f} ms, {what}",
        )
        for name, count, time in (
            ("Heston barrier", 1, mine),
            ("100 Heston barriers", MANY, many),
            ("a Heston barrier's five Greeks, nine prices of its,", 9, greeks),
        )
    ]


def _own(mine: float) -> Row:
    own = plainly(NEAR)
    question = "the same, against our own simulation without a control variate"
    return Row(question, own / mine, "x", None, True, f"{own:.2f} s without")


def _strikes(payoff: Any) -> Any:
    """The same contract with a hundred strikes."""
    return type(payoff).from_columns({**payoff.columns(), "strike": np.linspace(80.0, 120.0, MANY)})


def _batch(name: str, payoff: Any, model: Any, rival: tuple[float, float, float]) -> Row:
    """A hundred of them; QuantLib takes them one after the other."""
    mine = ours(_strikes(payoff), model, FAR)[2]
    whole = rival[2] / (rival[1] / NEAR) ** 2  # seconds of its run
    alone = whole * max((rival[1] / FAR) ** 2, LEAST / SAMPLES)
    return Row(
        f"100 of the {name} to {FAR / SPOT:.0e} of spot, against QuantLib one by one",
        MANY * alone / mine,
        "x",
        20.0,
        True,
        f"{1e3 * mine:.1f} ms in all; QuantLib {1e3 * alone:.2f} ms each",
    )


def _greeks(name: str, payoff: Any, model: Any, rival: tuple[float, float, float]) -> Row:
    """Price and Greeks; QuantLib's by the prices of central differences."""
    several = name == "basket"
    greeks = ("rho", "theta", *(f"delta{k}" for k in range(1, 6))) if several else True
    prices = 15 if several else 9
    mine = ours(payoff, model, NEAR, greeks=greeks)[2]
    return Row(
        f"all Greeks of the {name}, the price to {NEAR / SPOT:.0e} of spot, against {prices} "
        "prices of QuantLib",
        prices * rival[2] / mine,
        "x",
        20.0,
        True,
        f"{1e3 * mine:.1f} against {1e3 * prices * rival[2]:.0f} ms",
    )
