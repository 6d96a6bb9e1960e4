"""What people see of an object is short, in a terminal and in a notebook; what identifies it is
not.
"""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.shown import identity, short

MANY = 5000
CLOSE = pd.DataFrame(
    100.0 + np.arange(1200.0).reshape(400, 3) % 7.0,
    pd.bdate_range("2020-01-01", periods=400),
    ["A", "B", "C"],
)
STRIKES = np.linspace(50.0, 150.0, MANY)
CALL = gq.payoffs.European(option_type="call", strike=STRIKES, maturity=1.0)
FLAT = gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
MARKET = gq.Market({"rate": 0.02, "A": {"spot": 100.0, "volatility": 0.2}})
BOOK = gq.Contracts.from_frame(
    pd.DataFrame(
        {"product": "european", "option_type": "call", "underlying": "A"}, range(MANY)
    ).assign(strike=STRIKES, maturity=1.0)
)
FUND = gq.Portfolio({"options": BOOK, "shares": {"A": 10.0}, "cash": 1e6})
SHOCKS = gq.Scenarios.historical(
    gq.Panel.of(CLOSE), hold=["volatility", "rate", "dividend_yield"], window=300
)
GRID = gq.rules.MovingAverageCross(fast=range(2, 12), slow=range(20, 40))
STRATEGY = gq.Strategy(
    features=[gq.features.Momentum(window=5)],
    learner=gq.learn.Learner(gq.learn.networks.MLP(hidden=4)),
    sizing=gq.sizing.VolatilityTarget(0.1),
)
SEEN = {
    "a panel": lambda: gq.Panel.of(CLOSE),
    "a payoff": lambda: CALL,
    "a model": lambda: FLAT,
    "a rule": lambda: GRID,
    "stops": lambda: gq.Stops(stop_loss=np.full(MANY, 0.1)),
    "a cost": lambda: gq.costs.Commission(rate=0.001),
    "contracts": lambda: BOOK,
    "a market": lambda: MARKET,
    "a portfolio": lambda: FUND,
    "scenarios": lambda: SHOCKS,
    "a strategy": lambda: STRATEGY,
    "paths": lambda: gq.SimulatedPrices(model=FLAT, paths=9, bars=9),
    "history": lambda: gq.BootstrappedPrices(prices=CLOSE[["A"]], paths=9, bars=9, block=3.0),
    "splits": lambda: gq.splits.WalkForward(train="2Y", test="1Y"),
    "prices": lambda: gq.price(CALL, FLAT),
    "a book's prices": lambda: FUND.price(MARKET),
    "Greeks": lambda: gq.price(CALL, FLAT, greeks=True),
    "a back-test": lambda: gq.backtest(CLOSE, GRID, progress=False),
    "a risk run": lambda: gq.Portfolio({"shares": {"A": 10.0}}).risk(
        MARKET, gq.Scenarios.grid(spot=[-0.1, 0.1]), progress=False
    ),
    "a check": lambda: gq.validation.lookahead.check(GRID, CLOSE, cuts=2),
}


@pytest.mark.parametrize("what", SEEN)
def test_it_is_short_in_a_terminal_and_a_table_in_a_notebook(what):
    found = SEEN[what]()
    text = repr(found)
    assert 0 < len(text) < 2000, text[:3000]
    assert "array(" not in text and " object at 0x" not in text
    page = found._repr_html_()
    assert "<" in page and len(page) < 60_000


def test_choices_are_words_and_columns_are_their_ends():
    assert repr(CALL) == (
        "European(maturity=1, option_type=call, strike=[50, 50.02, ..., 149.98, 150] (5000))"
    )
    assert short({"a": [1.0, 2.0], "b": np.zeros((3, 4))}) == "{a: [1.0, 2.0], b: array 3 x 4}"


def test_what_looks_the_same_is_not_taken_for_the_same():
    other = STRIKES.copy()
    other[MANY // 2] += 1e-9
    twin = gq.payoffs.European(option_type="call", strike=other, maturity=1.0)
    assert repr(twin) == repr(CALL) and identity(twin) != identity(CALL)
    same = gq.payoffs.European(option_type="call", strike=STRIKES, maturity=1.0)
    assert identity(same) == identity(CALL)
    returns = [
        gq.features.RuleReturns(rule=gq.rules.MovingAverageCross(fast=range(2, top), slow=20))
        for top in (12, 13)
    ]
    assert identity(returns[0]) != identity(returns[1])
