"""Measures of plain series: what a back-test and skfolio say, NaN where nothing is defined, one
convention of quantiles.
"""

import inspect

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import measures, sums
from gpuquant.errors import InputError

DRAW = np.random.default_rng(11)
RETURNS = DRAW.standard_t(4, 700) * 0.01 + 0.0005
MARKET = 0.6 * RETURNS + DRAW.normal(0.0, 0.006, 700)
OF_RETURNS = (
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sharpe_error",
    "sortino",
    "omega",
    "max_drawdown",
    "max_drawdown_bars",
    "average_drawdown",
    "ulcer",
    "calmar",
    "martin",
    "recovery_factor",
    "skew",
    "kurtosis",
    "best_bar",
    "worst_bar",
    "hit_rate",
    "value_at_risk",
    "expected_shortfall",
    "tail_ratio",
)
OF_BENCHMARK = ("alpha", "beta", "correlation", "tracking_error", "information_ratio")
OF_TRADES = (
    "win_rate",
    "profit_factor",
    "expectancy",
    "average_win",
    "average_loss",
    "payoff_ratio",
    "sqn",
    "best_trade",
    "worst_trade",
    "win_streak",
    "loss_streak",
)
OF_AN_ACCOUNT = {
    "exposure",
    "orders",
    "rejects",
    "trades",
    "avg_holding_bars",
    "longest_trade",
    "adverse_excursion",
    "worst_excursion",
    "favourable_excursion",
    "fees",
    "turnover",
    "financing_cost",
    "dividends",
    "margin_calls",
}


def test_every_measure_of_a_back_test_is_a_function_or_needs_an_account():
    named = {*OF_RETURNS, *OF_BENCHMARK, *OF_TRADES}
    assert set(sums.NAMES) == named | OF_AN_ACCOUNT
    for name in named:
        assert inspect.getdoc(getattr(measures, name)), name


@pytest.fixture(scope="module")
def account():
    days = pd.bdate_range("2015-01-01", periods=701)
    close = pd.DataFrame({"A": 100.0 * np.concatenate([[1.0], np.cumprod(1.0 + RETURNS)])}, days)
    market = pd.Series(100.0 * np.concatenate([[1.0], np.cumprod(1.0 + MARKET)]), days)
    held = np.full((701, 1), np.nan)
    held[0] = 1.0
    return gq.backtest(close, weights=held, fill="same_close", benchmark=market)


@pytest.mark.parametrize("name", [*OF_RETURNS, *OF_BENCHMARK])
def test_a_measure_of_a_series_is_that_of_the_account(account, name):
    """An account that holds one asset from the first close on earns the asset's returns."""
    how = (
        {"periods": 252.0}
        if "periods" in inspect.signature(getattr(measures, name)).parameters
        else {}
    )
    more = (MARKET,) if name in OF_BENCHMARK else ()
    assert getattr(measures, name)(RETURNS, *more, **how) == pytest.approx(
        account.measures[name][0], rel=1e-8
    ), name


def test_returns_are_one_fewer_than_prices(account):
    assert len(account.returns()) == 700
    np.testing.assert_allclose(account.returns()[0], RETURNS, rtol=1e-9, atol=1e-12)
    assert account.measures["cagr"][0] == pytest.approx(np.prod(1.0 + RETURNS) ** (252 / 700) - 1.0)


def test_what_is_paid_at_the_first_bar_is_in_the_first_return():
    days = pd.bdate_range("2020-01-01", periods=4)
    close = pd.DataFrame({"A": [100.0, 110.0, 99.0, 120.0]}, days)
    held = np.array([[1.0], [np.nan], [np.nan], [np.nan]])
    found = gq.backtest(
        close, weights=held, fill="same_close", costs=gq.costs.Proportional(rate=0.01), cash=1000.0
    )
    returns = found.returns()[0].to_numpy()
    assert returns[0] == pytest.approx(1.1 / 1.01 - 1.0)
    assert np.prod(1.0 + returns) == pytest.approx(found.equity()[0].iloc[-1] / 1000.0)
    for name in (
        "total_return",
        "sharpe",
        "volatility",
        "worst_bar",
        "value_at_risk",
        "expected_shortfall",
        "max_drawdown",
        "ulcer",
    ):
        assert getattr(measures, name)(returns) == pytest.approx(
            found.measures[name][0], rel=1e-9
        ), name


def test_skfolio_agrees_where_it_defines_the_same():
    sk = pytest.importorskip("skfolio.measures")
    falls = sk.get_drawdowns(RETURNS, compounded=True)
    same = {
        "volatility": sk.standard_deviation(RETURNS) * 252**0.5,
        "skew": sk.skew(RETURNS),
        "kurtosis": sk.kurtosis(RETURNS) - 3.0,
        "worst_bar": -sk.worst_realization(RETURNS),
        "max_drawdown": -sk.max_drawdown(falls),
        "average_drawdown": -sk.average_drawdown(falls),
        "ulcer": sk.ulcer_index(falls),
    }
    for name, right in same.items():
        assert getattr(measures, name)(RETURNS) == pytest.approx(right, rel=1e-9), name
    for level in (0.9, 0.95, 0.975, 0.99):
        assert measures.value_at_risk(RETURNS, level) == pytest.approx(
            sk.value_at_risk(RETURNS, level)
        ), level
        assert measures.expected_shortfall(RETURNS, level) == pytest.approx(
            sk.cvar(RETURNS, level)
        ), level


def test_the_formulas_that_empyrical_has_too():
    """Its sharpe, sortino, omega, calmar, beta and annual return, written out."""
    down = np.minimum(RETURNS, 0.0)
    growth = np.prod(1.0 + RETURNS) ** (252 / 700) - 1.0
    curve = np.concatenate([[1.0], np.cumprod(1.0 + RETURNS)])
    deepest = (curve / np.maximum.accumulate(curve) - 1.0).min()
    right = {
        "sharpe": RETURNS.mean() / RETURNS.std(ddof=1) * 252**0.5,
        "sortino": RETURNS.mean() / np.sqrt((down**2).mean()) * 252**0.5,
        "omega": np.maximum(RETURNS, 0.0).sum() / -down.sum(),
        "cagr": growth,
        "calmar": growth / -deepest,
    }
    for name, value in right.items():
        assert getattr(measures, name)(RETURNS) == pytest.approx(value, rel=1e-12), name
    assert measures.beta(RETURNS, MARKET) == pytest.approx(
        np.cov(RETURNS, MARKET)[0, 1] / MARKET.var(ddof=1)
    )


UNDEFINED = {
    "sharpe": np.full(50, 0.01),
    "sortino": np.full(50, 0.01),
    "omega": np.full(50, 0.01),
    "calmar": np.full(50, 0.01),
    "martin": np.zeros(50),
    "recovery_factor": np.zeros(50),
    "skew": np.full(50, 0.01),
    "kurtosis": np.zeros(50),
    "hit_rate": np.zeros(50),
    "tail_ratio": np.zeros(50),
    "volatility": np.full(1, 0.01),
    "sharpe_error": np.full(50, 0.01),
}


@pytest.mark.parametrize("name", UNDEFINED)
def test_what_is_not_defined_is_nan(name):
    assert np.isnan(getattr(measures, name)(UNDEFINED[name]))


def test_an_account_that_stands_still_has_no_ratios():
    days = pd.bdate_range("2020-01-01", periods=40)
    found = gq.backtest(pd.DataFrame({"A": np.full(40, 100.0)}, days), weights=np.ones((40, 1)))
    m = {name: value[0] for name, value in found.measures.items()}
    assert not np.isinf(list(m.values())).any()
    for name in ("sharpe", "sortino", "omega", "calmar", "profit_factor", "win_rate", "hit_rate"):
        assert np.isnan(m[name]), name
    assert m["total_return"] == m["volatility"] == m["max_drawdown"] == 0.0


def test_trades_by_hand():
    gains = [3.0, 1.0, -2.0, -1.0, -1.0, 4.0]
    right = {
        "win_rate": 0.5,
        "profit_factor": 2.0,
        "expectancy": 4 / 6,
        "average_win": 8 / 3,
        "average_loss": -4 / 3,
        "payoff_ratio": 2.0,
        "best_trade": 4.0,
        "worst_trade": -2.0,
        "win_streak": 2.0,
        "loss_streak": 3.0,
    }
    for name, value in right.items():
        assert getattr(measures, name)(gains) == pytest.approx(value), name
    assert measures.sqn(gains) == pytest.approx(np.sqrt(6) * np.mean(gains) / np.std(gains))
    for name in ("profit_factor", "win_rate", "best_trade", "expectancy"):
        assert np.isnan(getattr(measures, name)([])), name
    assert np.isnan(measures.profit_factor([1.0, 2.0]))


@pytest.mark.parametrize("count", [1, 2, 3, 19, 20, 100, 499, 500, 1000])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.975, 0.99, 0.999])
def test_one_convention_of_quantiles_everywhere(count, level):
    """The worst but floor((1 - level) n); the mean beyond it is never the smaller loss; risk and
    back-test say the same.
    """
    values = np.random.default_rng(count).permutation(np.arange(count)).astype(float)
    place = min(round((1.0 - level) * 1000) * count // 1000 + 1, count)
    assert measures.value_at_risk(values, level) == -(place - 1)
    assert measures.expected_shortfall(values, level) >= measures.value_at_risk(values, level)
    book = gq.risk.Risk(pd.DataFrame({"x": values}), pd.Series({"x": 0.0}))
    assert book.var(level) == measures.value_at_risk(values, level)
    assert book.expected_shortfall(level) == pytest.approx(book.contributions(level).sum())
    if level == 0.95 and count > 1:
        found = sums.from_sums(sums.sums_of(values[:, None] / count), count)
        assert found["value_at_risk"][0] == pytest.approx(
            measures.value_at_risk(values / count, level)
        )
        assert found["expected_shortfall"][0] == pytest.approx(
            measures.expected_shortfall(values / count, level)
        )


def test_series_frames_lists_and_arrays():
    table = pd.DataFrame({"a": RETURNS, "b": MARKET})
    several = measures.sharpe(table)
    assert several.index.tolist() == ["a", "b"] and several["a"] == measures.sharpe(
        RETURNS.tolist()
    ) == measures.sharpe(pd.Series(RETURNS))
    np.testing.assert_array_equal(
        measures.value_at_risk(table.to_numpy(), 0.99),
        measures.value_at_risk(table, 0.99).to_numpy(),
    )
    hole = RETURNS.copy()
    hole[3] = np.nan
    for name in OF_RETURNS:
        assert np.isnan(getattr(measures, name)(hole)), name
    with pytest.raises(InputError, match=r"benchmark has shape \(3,\): must be \(700,\)"):
        measures.beta(RETURNS, [0.1, 0.2, 0.3])
