"""Wrong calls over the public surface: each is an error of ours that names the argument, and
says what is allowed.
"""

import datetime

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import costs, features, learn, measures, rules, sizing, splits
from gpuquant.errors import GpuquantError

DAYS = pd.bdate_range("2020-01-01", periods=120)
CLOSE = pd.DataFrame(
    50.0 * np.exp(np.cumsum(np.random.default_rng(0).normal(0.0, 0.01, (120, 2)), axis=0)),
    DAYS,
    ["A", "B"],
)
WEIGHTS = pd.DataFrame(0.4, DAYS, ["A", "B"])
RULE = rules.MovingAverageCross(fast=3, slow=10)
CALL = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
FLAT = gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
BOOK = pd.DataFrame(
    [
        {
            "id": "a",
            "product": "european",
            "option_type": "call",
            "underlying": "A",
            "strike": 50.0,
            "maturity": 1.0,
        }
    ]
)
MARKET = gq.Market(
    {"rate": 0.02, "A": {"spot": 50.0, "volatility": 0.2}}, datetime.date(2020, 6, 1)
)
FUND = gq.Portfolio({"o": gq.Contracts.from_frame(BOOK), "s": {"A": 10.0}})
MOVES = gq.Scenarios.grid(spot=[-0.1, 0.1])
THING = object()


def table(call, **wrong):
    """(name, argument, call) for every wrong value of every argument."""
    for argument, values in wrong.items():
        for value in values:
            yield (
                argument,
                value,
                (lambda argument=argument, value=value: call(**{argument: value})),
            )


NUMBER = ("x", np.nan, np.inf, -1.0, 0.0, THING, None)
WORD = ("nonsense", "", THING, 3)


def shape(rows, columns=2):
    return np.zeros((rows, columns))


CALLS = {
    "backtest": lambda **how: gq.backtest(
        **{"prices": CLOSE, "weights": WEIGHTS, "progress": False, **how}
    ),
    "rule": lambda **how: gq.backtest(**{"prices": CLOSE, "rule": RULE, "progress": False, **how}),
    "signals": lambda **how: gq.backtest(**{"prices": CLOSE, "progress": False, **how}),
    "orders": lambda **how: gq.backtest(
        CLOSE, orders=pd.DataFrame([{"bar": 0, "asset": "A", "size": 1.0, **how}]), progress=False
    ),
    "Panel.of": lambda **how: gq.Panel.of(**{"prices": CLOSE, **how}),
    "Panel.from_frames": lambda **how: gq.Panel.from_frames(**{"close": CLOSE, **how}),
    "Size": gq.Size,
    "Stops": gq.Stops,
    "Margin": gq.Margin,
    "Commission": costs.Commission,
    "MovingAverageCross": lambda **how: rules.MovingAverageCross(**{"fast": 3, "slow": 10, **how}),
    "SimulatedPrices": lambda **how: gq.SimulatedPrices(
        **{"model": FLAT, "paths": 2, "bars": 20, **how}
    ),
    "BootstrappedPrices": lambda **how: gq.BootstrappedPrices(
        **{"prices": CLOSE[["A"]], "paths": 2, "bars": 20, **how}
    ),
    "price": lambda **how: gq.price(**{"contracts": CALL, "model": FLAT, **how}),
    "price a book": lambda **how: gq.price(**{"contracts": BOOK, "market": MARKET, **how}),
    "European": lambda **how: gq.payoffs.European(
        **{"option_type": "call", "strike": 100.0, "maturity": 1.0, **how}
    ),
    "BlackScholes": lambda **how: gq.models.BlackScholes(
        **{"spot": 100.0, "rate": 0.0, "volatility": 0.2, **how}
    ),
    "implied_volatility": lambda **how: gq.implied_volatility(
        **{
            "price": 9.0,
            "option_type": "call",
            "spot": 100.0,
            "strike": 100.0,
            "maturity": 1.0,
            "rate": 0.02,
            **how,
        }
    ),
    "Market": lambda **how: gq.Market(how),
    "Scenarios": lambda **how: gq.Scenarios(
        **{"shocks": [{"spot": (0.1, 0.0)}], "labels": ["up"], **how}
    ),
    "grid": gq.Scenarios.grid,
    "historical": lambda **how: gq.Scenarios.historical(
        **{"prices": CLOSE, "hold": ["volatility", "rate", "dividend_yield"], **how}
    ),
    "Portfolio": lambda **how: gq.Portfolio(how).price(MARKET),
    "risk": lambda **how: FUND.risk(
        **{"market": MARKET, "shocks": MOVES, "progress": False, **how}
    ),
    "optimize": lambda **how: FUND.optimize(
        **{"risk": FUND.risk(MARKET, MOVES, progress=False), "vary": "s", **how}
    ),
    "measures": lambda **how: measures.sharpe(**{"returns": [0.01, -0.02, 0.03], **how}),
    "value_at_risk": lambda **how: measures.value_at_risk(
        **{"returns": [0.01, -0.02, 0.03], **how}
    ),
    "WalkForward": lambda **how: splits.WalkForward(**{"train": "6M", "test": "1M", **how}),
    "Learner": lambda **how: learn.Learner(**{"estimator": learn.networks.MLP(), **how}),
    "VolatilityTarget": sizing.VolatilityTarget,
    "Momentum": features.Momentum,
    "load": gq.data.load,
}

WRONG = {
    "backtest": {
        "prices": (
            "nowhere.parquet",
            "prices.txt",
            THING,
            3,
            CLOSE.to_numpy(),
            CLOSE.iloc[:0],
            CLOSE * -1.0,
            CLOSE.pct_change().iloc[1:],
            CLOSE.reset_index(drop=True),
            CLOSE.astype(str).replace("5", "x", regex=True),
            CLOSE > 50.0,
            {},
            {"x": 3},
        ),
        "weights": (
            shape(5),
            shape(120, 3),
            CLOSE["A"],
            WEIGHTS.rename(columns={"A": "Z"}),
            WEIGHTS.set_axis(DAYS + pd.Timedelta(days=2000)),
            WEIGHTS.tz_localize("UTC"),
            WEIGHTS.astype(str) + "x",
            WEIGHTS * np.inf,
            pd.concat([WEIGHTS, WEIGHTS]),
            "x",
            THING,
        ),
        "size": ("x", 3, THING),
        "stops": ("x", 3, THING),
        "margin": ("x", 3, THING),
        "costs": ("x", 0.001, THING, gq.Size()),
        "fill": WORD,
        "cash_allocation": WORD,
        "align": WORD,
        "cash": NUMBER[:6],
        "periods": NUMBER[:6],
        "benchmark": ("x", shape(3)[:, 0], CLOSE["A"].iloc[:50], CLOSE["A"] * -1.0, THING),
        "top": (0, -1, 1.5, "x"),
        "device": ("gpu", "cpu:0", "cpu:x", THING),
    },
    "rule": {
        "rule": ("x", THING, rules.MovingAverageCross),
        "fill": ("same_open",),
        "by": ("nonsense",),
        "top": (0, True + 0.5),
    },
    "signals": {
        "signals": (shape(120) + 0.5, shape(120) + 2.0, "x", THING),
        "amounts": (shape(120) + 2e9, shape(3)),
        "orders": ("x", pd.DataFrame(), pd.DataFrame([{"bar": 0}]), THING),
    },
    "orders": {
        "bar": (-1, 120, 0.5, "x", np.nan),
        "asset": ("Z", 3),
        "size": ("x", np.inf),
        "size_type": WORD[:2],
        "limit": (-1.0, 0.0, "x"),
        "stop": (-1.0, np.inf),
        "bars": (0, -1),
        "parent": (5, 0, -2, 0.5),
        "nonsense": (1,),
        "date": ("2020-01-02",),
    },
    "Panel.of": {
        "allow_halts": (THING, "x"),
        "adjusted": ("x",),
        "exchange": ("NOWHERE", 3),
        "asset": (THING,),
    },
    "Panel.from_frames": {
        "high": (CLOSE * 0.9, CLOSE.iloc[:5], "x"),
        "low": (CLOSE * 1.1,),
        "open": (CLOSE * -1.0, CLOSE.rename(columns={"A": "Z"})),
        "volume": (CLOSE * -1.0,),
        "splits": (CLOSE * -1.0,),
        "dividends": (CLOSE * -1.0,),
        "delistings": (CLOSE * 0.0 - 2.0,),
        "opne": (CLOSE,),
        "close": (CLOSE * np.nan, None),
    },
    "Size": {
        "amount": NUMBER[:6],
        "size_type": WORD[:3],
        "lot_size": (-1.0, np.nan, "x"),
        "max_participation_rate": (0.0, 1.5, np.nan),
        "allow_partial_fills": WORD[:2],
        "nonsense": (1,),
    },
    "Stops": {
        "stop_loss": ("x", -1.0, 0.0, np.inf),
        "take_profit": (-0.1,),
        "trailing": (THING,),
        "max_holding_bars": (0,),
        "trigger": WORD[:2],
        "entry_reference": WORD[:2],
    },
    "Margin": {
        "initial": (0.0, 1.5, "x", np.nan),
        "maintenance": (-0.1, 2.0),
        "margin_rate": (-0.1, np.nan),
        "borrow_rate": ("x",),
    },
    "Commission": {"rate": ("x", -0.1, np.nan), "slippage": (-0.1,), "nonsense": (1,)},
    "MovingAverageCross": {
        "fast": (0, -1, 1.5, "x", np.nan, []),
        "slow": (0, THING),
        "below": WORD[:2],
    },
    "SimulatedPrices": {
        "model": ("x", None, gq.models.BlackScholes),
        "paths": (0, -1, 1.5, "x"),
        "bars": (1, "x"),
        "seed": (-1, 1.5),
        "tick": NUMBER[:5],
    },
    "BootstrappedPrices": {
        "prices": (CLOSE, "nowhere.csv", THING),
        "block": (0.5, "x", np.nan),
        "paths": (0,),
    },
    "price": {
        "contracts": (THING, 3),
        "model": ("x", None, THING),
        "engine": WORD,
        "paths": (0, -1, 1.5, "x"),
        "steps": (0, -1, "x"),
        "device": ("gpu", "cpu:0"),
        "seed": (-1, 1.5, "x"),
        "precision": WORD,
        "units": WORD,
        "target_error": (-1.0, "x", np.nan, [0.1, 0.2]),
    },
    "price a book": {
        "contracts": (
            "nowhere.parquet",
            "book.xls",
            BOOK.iloc[:0],
            BOOK.drop(columns="product"),
            BOOK.drop(columns="maturity"),
            BOOK.rename(columns={"strike": "stirke"}),
        ),
        "market": ("nowhere.toml", {"A": {"spto": 1.0}}, {"rate": np.nan}, {"rate": True}),
        "model": (FLAT,),
    },
    "European": {
        "option_type": WORD[:3],
        "strike": ("x", np.nan, [], THING, -1.0),
        "maturity": ("x", np.nan, -1.0),
        "nonsense": (1,),
    },
    "BlackScholes": {
        "spot": ("x", np.nan, 0.0, -1.0, []),
        "rate": ("x", np.inf),
        "volatility": (-0.2, np.nan),
        "vol": (0.2,),
    },
    "implied_volatility": {
        "option_type": WORD[:2],
        "spot": ("x", -1.0),
        "strike": (np.nan, "x"),
        "maturity": (-1.0, "x"),
    },
    "Market": {"rate": ("x" * 0 or np.nan, True, THING, [1.0], None)},
    "Scenarios": {
        "labels": (["a", "b"],),
        "shocks": ([], [3], [{"spot": 0.1}], [{"spot": (np.nan, 0.0)}], [{"spot": (-2.0, 0.0)}]),
    },
    "grid": {"spot": ([], [-1.0], ["x"], 0.1, [np.nan]), "spt": ([0.1],)},
    "historical": {
        "horizon": (0, -1, 500, 1.5, "x"),
        "hold": ([], ["nonsense"], ["volatility"]),
        "prices": (THING, "nowhere.csv"),
        "window": (0, -5, "x"),
    },
    "Portfolio": {"x": ("x", True, np.nan, np.inf, {"A": "x"}, {"A": np.nan}, THING)},
    "risk": {
        "market": ("nowhere.toml", {"A": {"spto": 1.0}}),
        "shocks": ("x", THING, [MOVES]),
        "paths": (0, "x"),
        "seed": (-1,),
        "device": ("gpu",),
    },
    "optimize": {
        "vary": ("nonsense", THING),
        "objective": ("nonsense", THING),
        "level": (0.2, 1.0, "x"),
    },
    "measures": {"returns": ("x", [], THING, [np.inf], [[[0.1]]]), "periods": NUMBER[:6]},
    "value_at_risk": {"returns": ("x", []), "level": (0.2, 1.0, "x", np.nan)},
    "WalkForward": {
        "train": ("x", "", 3, None, "0Y", "-1Y"),
        "test": ("1Q1", THING),
        "embargo": (-1,),
    },
    "Learner": {
        "estimator": (THING, 3),
        "loss": WORD[:2],
        "horizon": (0, -1, 1.5, "x"),
        "ensemble": (0,),
        "window": (0, "x"),
    },
    "VolatilityTarget": {
        "target": NUMBER,
        "max_gross": NUMBER[:6],
        "window": (1, -1, "x"),
        "smooth": (0.0, 1.5, "x"),
    },
    "Momentum": {"window": (0, -1, 1.5, "x", None, True)},
    "load": {"name": ("nonsense", 3, None)},
}

CASES = [
    (name, argument, value, call)
    for name, wrong in WRONG.items()
    for argument, value, call in table(CALLS[name], **wrong)
]


def shown(value):
    return repr(value)[:20].replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "argument", "value", "call"),
    CASES,
    ids=[f"{n}-{a}-{k}" for k, (n, a, _, _) in enumerate(CASES)],
)
def test_a_wrong_call_is_an_error_of_ours(name, argument, value, call):
    with pytest.raises(GpuquantError) as caught:
        call()
    assert len(str(caught.value)) > 10, (name, argument, shown(value))


def test_there_are_enough_of_them():
    assert len(CASES) >= 200
