"""An account of every kind: what Python, and a GPU, must make of them is what the CPU makes."""

import numpy as np
import pandas as pd

import gpuquant as gq
from gpuquant import costs, rules
from tests.backtesting.own_rule import Patient
from tests.backtesting.test_backtest import panel_of
from tests.backtesting.test_terms import bars, targets


def accounts():
    """The prices and the terms of a small back-test of each kind, by name."""
    draw = np.random.default_rng(1)
    panel = panel_of(30 * np.exp(np.cumsum(draw.normal(0, 0.03, (60, 2)), axis=0)))
    fees = costs.Proportional(rate=0.001, slippage=0.0005)
    plain = bars(
        np.random.default_rng(2), 60, 2, ranges=True
    )  # without what may touch an account at any bar
    ranged, halted = (
        bars(draw, 60, 2, ranges=True, volume=True, actions=True),
        bars(draw, 60, 2, allow_halts=True, gone=True),
    )
    signals, weights = targets(draw, (60, 2), "signals"), draw.dirichlet([1, 1], 60)
    stops = gq.Stops(stop_loss=[0.02, 0.04], take_profit=0.05, trailing=0.03)
    broker = costs.Commission(rate=0.001, fixed=1.0, minimum=2.0, slippage=0.001, impact=0.01)
    closes = ranged.close
    orders = pd.DataFrame(
        [
            {
                "bar": 3,
                "asset": "S0",
                "size": 50.0,
                "limit": float(closes[3, 0]) * 0.99,
                "bars": 20,
            },
            {
                "bar": 3,
                "asset": "S0",
                "limit": float(closes[3, 0]) * 1.04,
                "parent": 0,
                "group": "out",
            },
            {
                "bar": 3,
                "asset": "S0",
                "stop": float(closes[3, 0]) * 0.95,
                "parent": 0,
                "group": "out",
            },
            {"bar": 20, "asset": "S1", "size": -30.0},
            {
                "bar": 30,
                "asset": "S1",
                "size": 60.0,
                "stop": float(closes[30, 1]) * 1.01,
                "limit": float(closes[30, 1]) * 1.03,
            },
        ]
    )
    history = pd.DataFrame({"A": panel.close[:, 0]}, index=panel.dates)
    heston = gq.models.Heston(
        spot=100.0,
        rate=0.02,
        v0=0.04,
        kappa=1.0,
        long_variance=0.05,
        vol_of_vol=0.4,
        correlation=-0.6,
    )
    crosses = rules.MovingAverageCross(fast=(2, 3), slow=5)
    return {
        "grid": (
            panel,
            {"rule": rules.MovingAverageCross(fast=(2, 3), slow=(5, 8)), "costs": fees},
        ),
        "weights": (panel, {"weights": weights, "costs": fees}),
        "stops": (
            ranged,
            {
                "signals": signals,
                "stops": stops,
                "costs": broker,
                "size": gq.Size(amount=0.5, lot_size=5.0, max_participation_rate=0.3),
            },
        ),
        "trails": (
            plain,
            {
                "signals": signals,
                "stops": gq.Stops(trailing=0.02, entry_reference="close", trail_reference="close"),
                "costs": fees,
            },
        ),
        "brackets": (
            ranged,
            {
                "signals": signals,
                "stops": gq.Stops(stop_loss=0.02, entry_reference="signal", entry_bar=True),
                "size": gq.Size(direction="long"),
            },
        ),
        "orders": (ranged, {"orders": orders, "costs": broker}),
        "halts": (
            halted,
            {"weights": targets(draw, (60, 2), "weights"), "costs": fees, "fill": "same_close"},
        ),
        "margin": (
            panel,
            {
                "weights": 3.0 * weights,
                "margin": gq.Margin(initial=0.2, maintenance=0.15, margin_rate=0.1, cash_rate=0.01),
                "costs": fees,
            },
        ),
        "locked": (
            panel,
            {
                "amounts": targets(draw, (60, 2), "amounts"),
                "margin": gq.Margin(lock_short_proceeds=True, borrow_rate=0.1),
                "costs": fees,
            },
        ),
        "benchmark": (panel, {"signals": signals, "benchmark": "equal_weight"}),
        "paths": (
            gq.SimulatedPrices(model=heston, paths=3, bars=40),
            {"rule": crosses, "costs": fees},
        ),
        "resampled": (
            gq.BootstrappedPrices(prices=history, paths=3, bars=40, block=4.0),
            {"rule": crosses, "stops": gq.Stops(stop_loss=0.02)},
        ),
        "targets at every bar": (
            plain,
            {
                "signals": np.nan_to_num(signals, nan=1.0),
                "stops": gq.Stops(stop_loss=0.02, take_profit=0.03),
                "costs": fees,
            },
        ),
        "priced": (
            ranged,
            {"rule": Patient(limit=(0.01, 0.02), stop=(0.0, 0.015)), "costs": broker},
        ),
    }


def agree(name, one, other):
    """Two back-tests of an account are the same but for a rounding at each bar, and for the
    tails, which a GPU leaves unmeasured.
    """
    assert one["orders"].sum() > 0, name
    for measure in one.keys() - {"low5", "mean5", "high5"}:
        np.testing.assert_allclose(
            other[measure],
            one[measure],
            rtol=1e-12,
            atol=60 * 2.0**-53,
            err_msg=f"{name} {measure}",
        )
