"""Portfolios: one total, honest failures, risk that adds up, books that come back from disk."""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import costs, learn, sizing, splits
from gpuquant.errors import DataError, GpuquantError, InputError, NameUnknown
from gpuquant.learn.config import TrainingConfig
from gpuquant.portfolio.risk import Risk

MARKET = gq.Market(
    {"rate": 0.03, "A": {"spot": 60.0, "volatility": 0.2}, "B": {"spot": 55.0, "volatility": 0.3}}
)


def contracts():
    return gq.Contracts.from_frame(
        pd.DataFrame(
            {
                "id": [1, 2, 3],
                "product": ["european", "asian", "barrier"],
                "underlying": ["A", "B", "A"],
                "option_type": ["call", "put", "call"],
                "strike": [60.0, 55.0, 60.0],
                "maturity": 1.0,
                "fixings": [np.nan, 12, np.nan],
                "barrier_type": [None, None, "down-and-out"],
                "barrier": [np.nan, np.nan, 50.0],
                "quantity": [10.0, -5.0, 3.0],
            }
        )
    )


@pytest.fixture
def book():
    return gq.Portfolio({"options": contracts(), "shares": {"A": 100, "B": -50}, "cash": 1000.0})


def test_a_total_is_the_sum_of_its_parts(book):
    priced = book.price(MARKET)
    options = gq.price(contracts(), market=MARKET)
    assert priced.total == pytest.approx(options.total + 100 * 60 - 50 * 55 + 1000)
    frame = priced.frame
    assert list(frame["position"]) == [
        "options/1",
        "options/2",
        "options/3",
        "shares/A",
        "shares/B",
        "cash",
    ]


def test_greeks_are_per_position(book):
    frame = book.greeks(MARKET).frame.set_index("position")
    single = gq.price(contracts(), market=MARKET, greeks=True).frame
    assert frame["delta"]["options/1"] == pytest.approx(10 * single["delta"][0])
    assert frame["delta"]["shares/B"] == -50
    assert frame["delta"]["cash"] == 0


def test_a_failed_position_makes_no_total(book):
    lame = gq.Portfolio({**book.positions, "more": {"Z": 1}})
    priced = lame.price(MARKET)
    assert np.isnan(priced.total)
    assert "no spot > 0 of 'Z'" in priced.frame["message"].iloc[-1]
    risk = lame.risk(MARKET, gq.Scenarios.grid(spot=[0.0]))
    assert risk.failed.to_numpy().tolist() == [["more/Z", "the market has no spot > 0 of 'Z'"]]
    assert np.isnan(risk.total).all() and np.isnan(risk.var()) and "more/Z" in risk.summary()
    assert lame.risk(MARKET, gq.Scenarios.grid(spot=[0.0]), partial=True).total[0] == pytest.approx(
        0.0, abs=1e-9
    )
    with pytest.raises(DataError, match="'more/Z' has no price"):
        lame.optimize(risk, vary="more")


def test_no_move_no_profit_and_delta_explains_small_ones(book):
    risk = book.risk(MARKET, gq.Scenarios.grid(spot=[0.0, 0.001, -0.001]))
    pnl = risk.pnl.to_numpy()
    np.testing.assert_allclose(pnl[0], 0.0, atol=1e-9)  # the same draws in every scenario
    delta = book.greeks(MARKET, paths=10_000).frame["delta"].to_numpy()
    spot = np.array([60, 55, 60, 60, 55, 0])
    np.testing.assert_allclose(pnl[1] - pnl[2], delta * spot * 0.002, rtol=0.02, atol=1e-6)


def test_full_revaluation_is_pricing_again(book):
    risk = book.risk(MARKET, gq.Scenarios.grid(spot=[-0.2], volatility=[0.05]), paths=5000)
    moved = gq.Market(
        {
            "rate": 0.03,
            "A": {"spot": 48.0, "volatility": 0.25},
            "B": {"spot": 44.0, "volatility": 0.35},
        }
    )
    expected = (
        book.price(moved, paths=5000).frame["value"].to_numpy()
        - book.price(MARKET, paths=5000).frame["value"].to_numpy()
    )
    np.testing.assert_allclose(risk.pnl.to_numpy()[0], expected, rtol=1e-9, atol=1e-9)


def made_up(scenarios=400, positions=5, seed=0):
    draw = np.random.default_rng(seed)
    names = [f"shares/{k}" for k in range(positions - 1)] + ["cash"]
    pnl = draw.multivariate_normal(
        np.zeros(positions), np.diag([4.0] * (positions - 1) + [1e-9]) + 0.5, scenarios
    )
    return Risk(pd.DataFrame(pnl, columns=names), pd.Series([100.0] * positions, index=names))


def test_contributions_sum_to_the_expected_shortfall():
    risk = made_up()
    for level in (0.9, 0.975, 0.99):
        assert risk.contributions(level).sum() == pytest.approx(risk.expected_shortfall(level))
        assert risk.expected_shortfall(level) >= risk.var(level)
    assert (risk.frame["low"] <= risk.frame["value"]).all() and (
        risk.frame["value"] <= risk.frame["high"] * 1.2
    ).all()


def test_optimising_lowers_the_tail_and_keeps_the_value():
    pytest.importorskip("cvxpy")
    risk = made_up()
    book = gq.Portfolio({"shares": {str(k): 1 for k in range(4)}, "cash": 100.0})
    better = book.optimize(risk, vary="shares")
    assert better.after <= better.before * (1 + 1e-9)
    assert better.frame["new_value"].sum() == pytest.approx(400.0, rel=1e-6)
    # no small change that keeps the value does better: the linear programme's optimum
    unit, multiples = risk.pnl.to_numpy(), np.append(better.frame["multiple"], 1.0)
    draw = np.random.default_rng(1)
    for _ in range(50):
        step = draw.normal(size=4) * 0.02
        other = multiples.copy()
        other[:4] += step - step.mean()
        if np.abs(other[:4]).sum() <= 4.0:
            assert gq.measures.expected_shortfall(unit @ other, 0.975) >= better.after - 1e-6


def test_an_estimator_of_weights_is_an_objective():
    class Equal:
        def fit(self, returns):
            self.weights_ = np.full(returns.shape[1], 1 / returns.shape[1])
            return self

    book = gq.Portfolio({"shares": {str(k): 1 for k in range(4)}, "cash": 100.0})
    found = book.optimize(made_up(), vary="shares", objective=Equal())
    np.testing.assert_allclose(found.frame["new_value"], 100.0)


def test_historical_scenarios_are_the_moves(walk_panel):
    moves = gq.Scenarios.historical(
        walk_panel, horizon=5, hold=["volatility", "rate", "dividend_yield"], window=100
    )
    assert len(moves) == 100
    relative, _ = moves.shocks[-1]["spot"]["B"]
    assert relative == pytest.approx(walk_panel.close[-1, 1] / walk_panel.close[-6, 1] - 1)
    shocked = moves.markets(gq.Market({"B": {"spot": 10.0}}))[-1]
    assert shocked.lookup("spot", ["B"], "", np.zeros(1), np.ones(1), np.zeros(1, int))[
        0
    ] == pytest.approx(10 * (1 + relative))


def fund(walk_panel, tmp_path):
    learner = learn.Learner(
        learn.networks.MLP(hidden=8), ensemble=2, training=TrainingConfig(steps=5)
    )
    alpha = gq.Strategy(
        features=[gq.features.Momentum(window=5), gq.features.RuleReturns(window=10)],
        learner=learner,
        sizing=sizing.VolatilityTarget(0.1),
    )
    made = gq.Portfolio(
        {"alpha": alpha, "options": contracts(), "shares": {"A": 2}, "cash": 10_000.0}
    )
    return made.train(
        walk_panel,
        splits=splits.WalkForward(train="24M", test="2M", expanding=True),
        costs=costs.Proportional(rate=0.001),
        ledger=tmp_path / "trials.parquet",
    )


def test_a_fund_comes_back_from_disk(walk_panel, tmp_path):
    made = fund(walk_panel, tmp_path)
    made.save(tmp_path / "fund")
    again = gq.Portfolio.load(tmp_path / "fund")
    assert set(again.positions) == set(made.positions)
    pd.testing.assert_frame_equal(again.signals(walk_panel).frame, made.signals(walk_panel).frame)
    one, two = (p.backtest(walk_panel, costs=costs.Proportional(rate=0.001)) for p in (made, again))
    np.testing.assert_array_equal(one.returns, two.returns)
    assert one.summary() == two.summary()
    np.testing.assert_array_equal(
        again.positions["options"].columns["strike"], contracts().columns["strike"]
    )
    with pytest.raises(DataError, match=r"holds no manifest\.json"):
        gq.Portfolio.load(tmp_path)


def test_the_tear_sheet_is_one_small_offline_page(walk_panel, tmp_path):
    result = fund(walk_panel, tmp_path).backtest(walk_panel, costs=costs.Proportional(rate=0.001))
    text = result.report(tmp_path / "sheet.html").read_text()
    assert len(text) < 500_000
    assert "http" not in text.replace("http://www.w3.org", "") and "<script" not in text
    for word in (
        "Equity",
        "Drawdown",
        "Monthly returns",
        "Exposure",
        "Costs",
        "equal weight",
        "nothing is deflated",
        "Excess over equal weight",
    ):
        assert word in text
    assert "Sharpe" in result.summary() and result._repr_html_().startswith("<pre>")
    risk = made_up()
    page = risk.report(tmp_path / "risk.html").read_text()
    assert "Contributions" in page and "<script" not in page


def test_results_can_be_plotted(walk_panel, tmp_path, book):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    result = fund(walk_panel, tmp_path).backtest(walk_panel)
    for drawn in (result, result.account, made_up()):
        assert drawn.plot().has_data()
    priced = gq.price(
        gq.payoffs.European(option_type="call", strike=[90.0, 100.0], maturity=1.0),
        gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2),
    )
    assert "<table" in priced._repr_html_()
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: gq.Portfolio({"x": "y"}), InputError, "position 'x' is a str"),
        (lambda: gq.Portfolio({"shares": {"A": np.nan}}), InputError, "A = nan"),
        (lambda: gq.Portfolio({"cash": np.inf}), InputError, "cash"),
        (
            lambda: gq.Portfolio({"cash": 1.0}).train(None, splits=None),
            InputError,
            "holds 0 strategies",
        ),
        (
            lambda: gq.Portfolio({"cash": 1.0}).optimize(made_up(), vary="sharse"),
            NameUnknown,
            "unknown position",
        ),
        (lambda: gq.Scenarios.grid(), InputError, "at least one column"),
        (lambda: gq.Scenarios.grid(spt=[0.1]), NameUnknown, "did you mean 'spot'"),
        (lambda: gq.Scenarios.grid(spot=[-1.0]), InputError, "above -1"),
        (lambda: gq.Scenarios.grid(spot=[np.nan]), InputError, "finite"),
        (lambda: made_up().var(1.5), InputError, "level = 1.5"),
    ],
)
def test_bad_input_is_named(make, error, words):
    with pytest.raises(error, match=words) as caught:
        make()
    assert isinstance(caught.value, GpuquantError)


def test_history_must_name_what_it_holds(walk_panel):
    with pytest.raises(InputError, match="missing: rate, dividend_yield"):
        gq.Scenarios.historical(walk_panel, hold=["volatility"])
    moves = gq.Scenarios.historical(walk_panel, hold=["volatility", "rate", "dividend_yield"])
    with pytest.raises(DataError, match="no history of the underlying 'Z'"):
        gq.Portfolio({"shares": {"Z": 1}}).risk(gq.Market({"Z": {"spot": 1.0}}), moves)


def test_a_volatility_scenario_moves_heston_too():
    heston = {
        "v0": 0.04,
        "kappa": 1.0,
        "long_variance": 0.04,
        "vol_of_vol": 0.3,
        "correlation": -0.5,
    }
    rows = pd.DataFrame(
        {
            "product": ["european"] * 2,
            "model": ["heston", "black_scholes"],
            "underlying": "A",
            "option_type": "call",
            "strike": 60.0,
            "maturity": 1.0,
        }
    )
    market = gq.Market({"rate": 0.0, "A": {"spot": 60.0, "volatility": 0.2, "heston": heston}})
    pnl = (
        gq.Portfolio({"x": gq.Contracts.from_frame(rows)})
        .risk(market, gq.Scenarios.grid(volatility=[0.05]))
        .pnl.to_numpy()[0]
    )
    assert pnl[0] == pytest.approx(pnl[1], rel=0.1)


def test_a_scenario_without_a_value_makes_no_figure(book):
    risk = book.risk(MARKET, gq.Scenarios.grid(volatility=[-0.25, 0.0, 0.01]))
    assert (
        np.isnan(risk.var())
        and np.isnan(risk.expected_shortfall())
        and np.isnan(risk.contributions()).all()
    )
