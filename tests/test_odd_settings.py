"""Under odd settings of numpy and torch, and for numbers in odd clothes, everything gives what
it gives without.
"""

import contextlib
import re

import numpy as np
import pandas as pd
import pytest
import torch

import gpuquant as gq
from gpuquant import costs, features, learn, measures, rules, sizing, splits
from gpuquant.learn.config import TrainingConfig
from gpuquant.validation import overfitting

DAYS = pd.bdate_range("2015-01-01", periods=600)
CLOSE = pd.DataFrame(
    np.round(
        50.0 * np.exp(np.cumsum(np.random.default_rng(0).normal(0.0, 0.01, (600, 4)), axis=0)), 2
    ),
    DAYS,
    list("ABCD"),
)
ROWS = [
    ("european", "black_scholes", 100.0, 1.0),
    ("european", "black_scholes", 1e5, 0.001),
    ("european", "black_scholes", 1e-5, 5.0),
    ("asian", "heston", 100.0, 1.0),
    ("barrier", "black_scholes", 100.0, 1.0),
    ("european", "heston", 300.0, 0.01),
    ("european", "black_scholes", 100.0, 0.0),
]
COMMON = {
    "option_type": "call",
    "underlying": "A",
    "fixings": 4,
    "barrier_type": "down-and-out",
    "barrier": 80.0,
    "v0": 0.04,
    "kappa": 1.0,
    "long_variance": 0.04,
    "vol_of_vol": 0.5,
    "correlation": -0.5,
}
BOOK = pd.DataFrame(
    [
        {"id": k, "product": p, "model": m, "strike": s, "maturity": t, **COMMON}
        for k, (p, m, s, t) in enumerate(ROWS)
    ]
)
MARKET = {"rate": 0.02, "A": {"spot": 100.0, "volatility": 0.2}}
GRID = rules.MovingAverageCross(fast=range(2, 6), slow=range(10, 30, 5))
HESTON = gq.models.Heston(
    spot=100.0, rate=0.02, v0=0.04, kappa=1.5, long_variance=0.04, vol_of_vol=0.5, correlation=-0.7
)


def fund():
    learner = learn.Learner(
        learn.networks.MLP(hidden=8), ensemble=2, training=TrainingConfig(steps=3)
    )
    wanted = [
        features.Momentum(window=5),
        features.RuleReturns(window=10),
        features.SimulatedOptions(window=60, every=21, paths=64),
    ]
    made = gq.Portfolio(
        {"a": gq.Strategy(wanted, learner, sizing.VolatilityTarget(0.1)), "cash": 1e6}
    )
    return (
        made.train(CLOSE, splits=splits.WalkForward(train="18M", test="3M"), progress=False)
        .backtest(CLOSE)
        .summary()
    )


VERBS = {
    "prices and Greeks": lambda: (
        gq.price(BOOK, market=MARKET, paths=500, greeks=True, progress=False).frame
    ),
    "simulated prices": lambda: (
        gq.price(BOOK, market=MARKET, paths=500, engine="monte_carlo", progress=False).frame
    ),
    "a target": lambda: (
        gq.price(BOOK, market=MARKET, paths=500, target_error=0.05, progress=False).frame
    ),
    "implied volatility": lambda: gq.implied_volatility(
        price=[9.0, 1e-12, 50.0],
        option_type="call",
        spot=100.0,
        strike=[100.0, 150.0, 60.0],
        maturity=1.0,
        rate=0.02,
    ),
    "a grid": lambda: gq.backtest(CLOSE, GRID, costs=costs.Proportional(rate=0.001)).frame,
    "a grid's summary": lambda: re.sub(r"in \S+ s", "", gq.backtest(CLOSE, GRID).summary()),
    "weights": lambda: (
        gq.backtest(CLOSE, weights=CLOSE * 0.0 + 0.25, costs=costs.Proportional(rate=0.001)).frame
    ),
    "prices that do not move": lambda: gq.backtest(
        CLOSE * 0.0 + 10.0, weights=CLOSE * 0.0
    ).summary(),
    "trades": lambda: gq.backtest(
        CLOSE, rules.MovingAverageCross(fast=2, slow=10), stops=gq.Stops(stop_loss=0.02)
    ).trades(),
    "paths of prices": lambda: (
        gq.backtest(
            gq.SimulatedPrices(model=HESTON, paths=20, bars=200),
            rules.MovingAverageCross(fast=2, slow=10),
        ).frame
    ),
    "scenarios": lambda: (
        gq.Portfolio({"o": gq.Contracts.from_frame(BOOK), "s": {"A": 1.0}})
        .risk(
            MARKET,
            gq.Scenarios.grid(spot=[-0.1, 0.1], volatility=[-0.1, 0.1]),
            paths=200,
            progress=False,
        )
        .pnl
    ),
    "a fund": fund,
    "measures": lambda: [
        measures.sharpe(CLOSE["A"].pct_change().dropna()),
        measures.value_at_risk(CLOSE["A"].pct_change().dropna(), 0.95),
    ],
    "overfitting": lambda: overfitting.overfitting(CLOSE.pct_change().dropna(), 8),
}


def text(found):
    return found.to_csv() if hasattr(found, "to_csv") else str(found)


@pytest.mark.parametrize("verb", VERBS)
def test_numpy_that_raises_at_everything(verb):
    right = text(VERBS[verb]())
    with np.errstate(all="raise"):
        assert text(VERBS[verb]()) == right


@pytest.mark.parametrize(
    "setting",
    [
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.device("meta"),
        lambda: float64_by_default(),
    ],
    ids=["inference", "no gradients", "no device", "float64"],
)
def test_torch_told_otherwise(setting):
    right = fund()
    with setting():
        assert fund() == right


@contextlib.contextmanager
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_numbers_below_the_normal_ones_flushed(python):
    """As torch can be told to, for the whole process: prices and accounts of ordinary numbers do
    not notice.
    """
    source = """
        import sys, torch
        flushed = torch.set_flush_denormal({flush})
        import warnings; warnings.simplefilter("ignore")
        from tests.test_odd_settings import VERBS, text
        import hashlib
        for name in ("prices and Greeks", "simulated prices", "a grid", "trades", "scenarios"):
            print(name, hashlib.sha256(text(VERBS[name]()).encode()).hexdigest())
        """
    assert python(source.format(flush=True)) == python(source.format(flush=False))


CLOTHES = {
    "float32": lambda frame: frame.astype(np.float32).astype(float).astype(np.float32),
    "big-endian": lambda frame: frame.astype(">f8"),
    "pandas nullable": lambda frame: frame.convert_dtypes(),
    "Arrow": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "objects": lambda frame: frame.astype(object),
    "Fortran order": lambda frame: pd.DataFrame(
        np.asfortranarray(frame.to_numpy()), frame.index, frame.columns
    ),
    "read-only": lambda frame: _read_only(frame),
}


def _read_only(frame):
    out = frame.copy()
    for column in out:
        values = out[column].to_numpy()
        if values.dtype != object:
            values.flags.writeable = False
            out[column] = values
    return out


@pytest.mark.parametrize("clothes", CLOTHES)
def test_frames_of_prices_and_weights_in_odd_clothes(clothes):
    exact = CLOSE.astype(np.float32).astype(float)  # what every kind of number holds
    wear, weights = CLOTHES[clothes], (exact.rank(axis=1) == 1.0) * 0.5
    panel = gq.Panel.of(wear(exact))
    np.testing.assert_array_equal(panel.close, exact.to_numpy())
    one, two = (
        gq.backtest(p, weights=w, costs=costs.Proportional(rate=0.001)).frame
        for p, w in ((exact, weights), (wear(exact), wear(weights)))
    )
    pd.testing.assert_frame_equal(one, two)
    signals = (exact > exact.mean()).astype(float)
    pd.testing.assert_frame_equal(
        gq.backtest(exact, signals=signals).frame,
        gq.backtest(wear(exact), signals=wear(signals)).frame,
    )


@pytest.mark.parametrize("clothes", CLOTHES)
def test_books_in_odd_clothes(clothes):
    numbers = BOOK.select_dtypes("number").astype(float)
    worn = CLOTHES[clothes](numbers)
    if clothes == "float32":
        numbers = numbers.astype(np.float32).astype(float)
    words = BOOK.select_dtypes(exclude="number")
    words = (
        words.convert_dtypes(dtype_backend="pyarrow")
        if clothes == "Arrow"
        else words.convert_dtypes()
        if clothes == "pandas nullable"
        else words
    )
    right = gq.price(
        pd.concat([numbers, BOOK.select_dtypes(exclude="number")], axis=1).assign(id=BOOK["id"]),
        market=MARKET,
        paths=300,
        progress=False,
    )
    found = gq.price(
        pd.concat([worn, words], axis=1).assign(id=BOOK["id"]),
        market=MARKET,
        paths=300,
        progress=False,
    )
    for name in ("price", "std_error", "status", "message"):
        assert list(map(str, found.columns[name])) == list(map(str, right.columns[name])), name


def test_a_gap_of_any_kind_is_a_gap():
    """NaN, None, pandas.NA and a masked number: the market's value is taken."""
    right = gq.price(
        BOOK.drop(columns="v0").assign(spot=np.nan),
        market={**MARKET, "v0": 0.04},
        paths=300,
        progress=False,
    ).price
    for gap in (np.nan, None, pd.NA):
        for kind in (object, "Float64", "float64[pyarrow]"):
            frame = BOOK.drop(columns="v0").assign(spot=pd.Series([gap] * len(BOOK), dtype=kind))
            np.testing.assert_array_equal(
                gq.price(frame, market={**MARKET, "v0": 0.04}, paths=300, progress=False).price,
                right,
            )


@pytest.mark.parametrize(
    "wear", [np.float32, ">f8", "masked", "read-only", "list", "Series", "Arrow", "strided"]
)
def test_columns_of_members_in_odd_clothes(wear):
    strikes = np.array([90.0, 100.0, 110.0])
    worn = {
        "masked": np.ma.masked_array(strikes, mask=False),
        "read-only": np.broadcast_to(strikes, (3,)),
        "list": [90, 100.0, np.float32(110)],
        "Series": pd.Series(strikes, index=[5, 6, 7]),
        "Arrow": pd.Series(strikes, dtype="float64[pyarrow]"),
        "strided": np.repeat(strikes, 2)[::2],
    }.get(wear)
    worn = strikes.astype(wear) if worn is None else worn
    flat = gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
    one, two = (
        gq.price(gq.payoffs.European(option_type="call", strike=k, maturity=1.0), flat).price
        for k in (strikes, worn)
    )
    np.testing.assert_array_equal(one, two)


def test_a_masked_number_is_none():
    with pytest.raises(gq.errors.InputError, match=r"strike\[1\]"):
        gq.payoffs.European(
            option_type="call",
            strike=np.ma.masked_array([90.0, 100.0], mask=[False, True]),
            maturity=1.0,
        )
