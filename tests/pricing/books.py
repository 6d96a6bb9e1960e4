"""Random books: rows of any payoff and model that lie where a simulation's errors are nearly
normal.
"""

import numpy as np

import gpuquant as gq
from gpuquant.data.columns import domains

SPOT = 100.0


def payoff(cls, n, rng, level=100.0, width=1.0):
    """`n` rows of a payoff near the money of an asset worth some `level`, every choice drawn;
    strikes as wide as a share's, times `width`.
    """
    found = {}
    for name, domain in domains(cls).items():
        if domain.words:
            found[name] = rng.choice(domain.codes, n)
        elif name in LEVELS:
            found[name] = rng.uniform(*LEVELS[name], n)
    found["maturity"] = rng.uniform(0.5, 1.5, n)
    for name in ("window_time", "reset_time", "choice_time", "exercise_time"):
        if name in domains(cls):
            found[name] = found["maturity"] * rng.uniform(0.3, 0.7, n)
    if "barrier" in domains(cls):
        up = found["barrier_type"] >= 2.0 if "barrier_type" in found else found["direction"] > 0.0
        found["barrier"] = np.where(up, rng.uniform(115.0, 130.0, n), rng.uniform(75.0, 88.0, n))
    if cls is gq.payoffs.SoftBarrier:
        up = found["barrier_type"] >= 2.0
        found["lower"], found["upper"] = (
            np.where(up, 110.0, 75.0),
            np.where(up, rng.uniform(115.0, 130.0, n), rng.uniform(78.0, 90.0, n)),
        )
    for name in {"weights", "accruals"} & set(domains(cls)):
        found[name] = rng.uniform(0.3, 0.7, (n, 2))
    for name in {"fixings", "periods"} & set(domains(cls)):
        found[name] = rng.integers(2, 13, n).astype(float)
    found.pop("monitoring", None)  # the formulas are of continuous ones
    found.pop("averaging", None)
    if cls is gq.payoffs.Asian:
        found["average"], found["strike_type"] = np.ones(n), np.zeros(n)
    if cls is gq.payoffs.Cliquet:
        found["local_cap"] = rng.uniform(0.05, 0.1, n)
    if cls is gq.payoffs.Swaption:
        found["strike"] = rng.uniform(0.01, 0.06, n)
    for name in PRICES & set(found) if cls is not gq.payoffs.Swaption else ():
        found[name] = level * (1.0 + width * (found[name] / 100.0 - 1.0))
    return cls(**found)


PRICES = {"strike", "trigger", "lower", "upper", "barrier", "rebate", "initial"}
LEVELS = {
    "strike": (90.0, 110.0),
    "trigger": (95.0, 105.0),
    "lower": (72.0, 85.0),
    "upper": (118.0, 135.0),
    "moneyness": (0.9, 1.1),
    "rebate": (0.0, 5.0),
    "initial": (95.0, 105.0),
}


def model(cls, n, rng):
    """`n` rows of a model, drawn around its sample."""
    found = {
        name: domain.sample * rng.uniform(0.8, 1.2, n)
        for name, domain in domains(cls).items()
        if not (domain.listed or domain.words or domain.derived)
    }
    drawn = {
        "rate": rng.uniform(0.0, 0.06, n),
        "spot": np.full(n, SPOT),
        "dividend_yield": rng.uniform(0.0, 0.04, n),
    }
    found |= {name: value for name, value in drawn.items() if name in found}
    if cls is gq.models.MultiBlackScholes:
        found |= {
            "spots": np.full((n, 2), SPOT),
            "volatilities": rng.uniform(0.15, 0.3, (n, 2)),
            "correlation": rng.uniform(-0.8, 0.8, n),
        }
    if cls is gq.models.TermBlackScholes:
        found |= {
            "knots": np.sort(rng.uniform(0.2, 1.2, (n, 2)), axis=1),
            "volatilities": rng.uniform(0.15, 0.3, (n, 2)),
        }
        found |= {
            "rates": rng.uniform(0.0, 0.06, (n, 2)),
            "dividend_yields": rng.uniform(0.0, 0.04, (n, 2)),
        }
    if cls is gq.models.LocalVolatility:
        found |= {
            "surface_times": np.full((n, 1), 2.0),
            "surface_levels": np.tile([-0.5, 0.5], (n, 1)),
            "surface_volatilities": rng.uniform(0.15, 0.3, (n, 2)),
        }
    if "bond_maturities" in domains(cls):
        found |= {
            "bond_maturities": np.tile([2.5, 3.0], (n, 1))[
                :, : cls.sample_lengths.get("bond_maturities", 2)
            ]
        }
    if cls is gq.models.DividendBlackScholes:
        found |= {
            "dividend_times": rng.uniform(0.1, 0.4, (n, 1)),
            "dividends": rng.uniform(0.0, 3.0, (n, 1)),
        }
    return cls(**found)
