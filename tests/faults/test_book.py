"""Portfolio, risk and report faults: currencies, scenarios, the optimiser, charts, the statuses
of a risk run.
"""

import datetime
import re
import time

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import DataError, NameUnknown

CALL = {
    "id": "a",
    "product": "european",
    "model": "black_scholes",
    "option_type": "call",
    "underlying": "AAPL",
    "strike": 126.0,
    "maturity": 1.0,
    "quantity": 1.0,
    "multiplier": 1.0,
}


def contracts(*rows):
    return gq.Contracts.from_frame(pd.DataFrame(list(rows)))


@pytest.fixture(scope="module")
def market(us20):
    growth = np.diff(np.log(us20.close[-253:]), axis=0)
    values = {"rate": 0.04}
    for k, name in enumerate(us20.assets):
        values[name] = {
            "spot": float(us20.close[-1, k]),
            "dividend_yield": 0.015,
            "volatility": float(growth[:, k].std() * 252**0.5),
        }
    return gq.Market(values, datetime.date(2022, 12, 28))


@pytest.fixture(scope="module")
def history(us20):
    return gq.Scenarios.historical(
        us20, horizon=1, hold=["volatility", "rate", "dividend_yield"], window=100
    )


DOWN = gq.Scenarios.grid(spot=[-0.1])
SHARES = gq.Portfolio({"s": {"AAPL": 1.0, "MSFT": 1.0}})


def test_risk_of_dollars_and_yen(market):
    both = gq.Portfolio(
        {"o": contracts(dict(CALL, currency="USD"), dict(CALL, id="b", currency="JPY"))}
    )
    with pytest.raises(DataError, match="JPY, USD"):
        both.risk(market, DOWN)


def test_a_scenario_of_an_unknown_column(market):
    with pytest.raises(NameUnknown, match="'spott'; did you mean 'spot'"):
        SHARES.risk(market, gq.Scenarios([{"spott": (-0.1, 0.0)}], ["x"]))


def test_a_scenario_of_an_unknown_underlying(market):
    with pytest.raises(NameUnknown, match="'APPL'; did you mean 'AAPL'"):
        SHARES.risk(
            market,
            gq.Scenarios([{"spot": (-0.1, 0.0)}, {"spot": {"APPL": (-0.3, 0.0)}}], ["all", "x"]),
        )


def test_a_stress_of_one_name(market):
    found = SHARES.risk(market, gq.Scenarios([{"spot": {"AAPL": (-0.3, 0.0)}}], ["x"]))
    assert found.pnl.iloc[0].tolist() == pytest.approx([-0.3 * market.values["AAPL"]["spot"], 0.0])


BASKET = dict(
    CALL,
    id="basket",
    product="basket",
    model="multi_black_scholes",
    weights=[0.5, 0.5],
    volatilities=[0.3, 0.3],
    dividend_yields=[0.01, 0.01],
    correlation=0.5,
)


def test_a_basket_in_a_book(market, history):
    named = {**BASKET, "underlying": None, "underlyings": ["AAPL", "MSFT"]}
    mixed = gq.Portfolio({"o": contracts(CALL, named), "shares": {"AAPL": 10}})
    risk = mixed.risk(market, history)
    assert np.isfinite(risk.var(0.99))
    assert (risk.pnl["o/basket"] != 0.0).all()
    fixed = gq.Portfolio(
        {"o": contracts(CALL, dict(BASKET, spots=[126.0, 130.0])), "shares": {"AAPL": 10}}
    ).risk(market, history)
    assert fixed.failed["position"].tolist() == ["o/basket"]
    assert "spot" in fixed.failed["message"][0]


def test_one_bad_contract_in_a_book(market, history):
    book = gq.Portfolio({"o": contracts(CALL, dict(CALL, id="b", strike=-1.0))})
    risk = book.risk(market, history)
    assert risk.pnl.shape == (100, 2)
    assert risk.status.to_dict() == {"o/a": "ok", "o/b": "failed"}
    assert np.isnan(risk.total).all()
    part = book.risk(market, history, partial=True)
    assert np.isfinite(part.total).all()


def test_a_column_of_the_callers_own(market):
    priced = gq.price(contracts(dict(CALL, desk="rates")), market=market)
    assert priced.frame["desk"].tolist() == ["rates"]


SHORT = gq.Portfolio({"s": {"AAPL": 500.0, "MSFT": -1000.0}, "cash": 1e6})


class Equal:
    """Equal weights, as an estimator has them."""

    def fit(self, returns):
        self.weights_ = np.full(returns.shape[1], 1.0 / returns.shape[1])


def test_equal_weights_for_a_book_that_is_net_short(market, history):
    found = SHORT.optimize(SHORT.risk(market, history), vary="s", objective=Equal()).frame
    assert (np.sign(found.new_value) == np.sign(found.value)).all(), found
    assert found.new_value.abs().sum() == pytest.approx(found.value.abs().sum())


BOOK = [dict(CALL, id=f"T{k}", strike=90.0 + k, quantity=float(1 - 2 * (k % 2))) for k in range(60)]


def test_more_contracts_than_scenarios(market, us20):
    pytest.importorskip("cvxpy")
    few = gq.Scenarios.historical(
        us20, horizon=1, hold=["volatility", "rate", "dividend_yield"], window=30
    )
    options = gq.Portfolio({"options": contracts(*BOOK)})
    with (
        pytest.warns(UserWarning, match="60 positions over 30 scenarios"),
        pytest.raises(DataError, match="the optimum gains for sure"),
    ):
        options.optimize(options.risk(market, few), vary="options")
    many = gq.Scenarios.historical(
        us20, horizon=1, hold=["volatility", "rate", "dividend_yield"], window=500
    )
    book = gq.Portfolio({"options": contracts(*BOOK[:8]), "shares": {"AAPL": 10.0}})
    found = book.optimize(book.risk(market, many), vary="options")
    assert (found.frame.multiple >= 0.0).all() and (found.frame.multiple <= 10.0).all()
    assert 0.0 < found.after <= found.before


def test_seconds_of_a_risk_run(market, history):
    start = time.perf_counter()
    risk = gq.Portfolio({"options": contracts(*BOOK)}).risk(market, history)
    taken = time.perf_counter() - start
    assert 0.5 * taken < risk.meta["seconds"] <= taken
    assert risk.meta["scenarios"] == 100


def test_vega_and_a_scenario_of_one_volatility_point(market):
    heston = gq.Portfolio(
        {
            "o": contracts(
                dict(
                    CALL,
                    model="heston",
                    v0=0.09,
                    kappa=1.5,
                    long_variance=0.09,
                    vol_of_vol=0.4,
                    correlation=-0.6,
                )
            )
        }
    )
    vega = heston.greeks(market).frame.vega[0]
    moved = heston.risk(market, gq.Scenarios.grid(volatility=[0.01])).total[0] * 100
    assert vega == pytest.approx(moved, rel=0.02), (vega, moved)


def test_a_crash_of_two_bars_in_a_chart(tmp_path):
    days = pd.bdate_range("1998-01-02", periods=6300)
    level = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0.0003, 0.004, 6300)))
    level[3001:3003] *= 0.5
    one = pd.DataFrame({"A": level.round(4)}, index=days)
    account = gq.backtest(one, weights=pd.DataFrame(1.0, index=days, columns=["A"]))
    text = account.report(tmp_path / "page.html").read_text()
    chart = re.search(r'aria-label="Drawdown">(.*?)</svg>', text, re.S)[1]
    lowest = min(int(mark) for mark in re.findall(r">(-?[0-9]+)%<", chart))
    assert lowest <= -40, lowest


def test_what_a_result_prints():
    priced = gq.price(
        gq.payoffs.European(option_type="call", strike=np.arange(50.0, 150.0), maturity=1.0),
        gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2),
    )
    assert len(repr(priced)) < 600
    assert "100 contracts" in repr(priced)


def test_the_order_statistic_of_value_at_risk():
    total = np.sort(np.random.default_rng(1).normal(size=500))
    assert [
        int(np.searchsorted(total, -gq.measures.value_at_risk(total, level))) + 1
        for level in (0.99, 0.9)
    ] == [6, 51]
