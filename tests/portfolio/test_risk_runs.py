"""Risk runs and the optimiser: a status for every position, one currency, scenarios by name, and
what is asked for unasked.
"""

import time

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import DataError, InputError, NameUnknown

MARKET = gq.Market(
    {
        "rate": 0.02,
        "A": {"spot": 100.0, "volatility": 0.2, "dividend_yield": 0.01},
        "B": {"spot": 50.0, "volatility": 0.3, "dividend_yield": 0.0},
        "C": {"spot": 10.0, "volatility": 0.5},
    }
)
CALL = {
    "id": "call",
    "product": "european",
    "option_type": "call",
    "underlying": "A",
    "strike": 100.0,
    "maturity": 1.0,
}
HESTON = {
    **CALL,
    "id": "heston",
    "model": "heston",
    "v0": 0.04,
    "kappa": 1.5,
    "long_variance": 0.09,
    "vol_of_vol": 0.4,
    "correlation": -0.6,
}
BATES = {
    **HESTON,
    "id": "bates",
    "model": "bates",
    "intensity": 0.5,
    "jump_mean": -0.1,
    "jump_volatility": 0.15,
}
BASKET = {
    "id": "basket",
    "product": "basket",
    "model": "multi_black_scholes",
    "option_type": "call",
    "strike": 75.0,
    "maturity": 1.0,
    "weights": [0.5, 0.5],
    "correlation": 0.5,
}
DOWN = gq.Scenarios.grid(spot=[-0.1, 0.1])


def book(*rows, **others):
    return gq.Portfolio({"o": gq.Contracts.from_frame(pd.DataFrame(list(rows))), **others})


def run(portfolio, shocks=DOWN, **how):
    return portfolio.risk(MARKET, shocks, progress=False, **how)


def test_a_position_without_a_price_has_a_reason_and_the_others_go_on():
    portfolio = book(
        CALL,
        {**CALL, "id": "bad", "strike": -1.0},
        {**CALL, "id": "worse", "underlying": "Z"},
        shares={"A": 3.0, "Q": 1.0},
        cash=100.0,
    )
    risk = run(portfolio)
    assert risk.status.to_dict() == {
        "o/call": "ok",
        "o/bad": "failed",
        "o/worse": "failed",
        "shares/A": "ok",
        "shares/Q": "failed",
        "cash": "ok",
    }
    assert (
        "strike" in risk.messages["o/bad"]
        and "spot" in risk.messages["o/worse"]
        and "'Q'" in risk.messages["shares/Q"]
    )
    for number in (
        risk.var(),
        risk.expected_shortfall(),
        risk.worth,
        risk.contributions().sum(min_count=6),
    ):
        assert np.isnan(number)
    part = run(portfolio, partial=True)
    whole = run(book(CALL, shares={"A": 3.0}, cash=100.0))
    np.testing.assert_allclose(part.total, whole.total)
    assert part.worth == pytest.approx(whole.worth)
    assert "left out" in part.summary() and "unless partial=True" in risk.summary()


def test_a_position_that_has_no_price_in_one_scenario_only():
    risk = run(book(CALL, shares={"A": 1.0}), gq.Scenarios.grid(volatility=[0.0, -0.3]))
    assert (
        risk.status["o/call"] == "failed"
        and "in scenario 'volatility -0.3'" in risk.messages["o/call"]
    )
    assert np.isfinite(risk.pnl["o/call"].iloc[0]) and np.isnan(risk.pnl["o/call"].iloc[1])
    assert np.isfinite(risk.total[0]) and np.isnan(risk.total[1])


def test_several_currencies_are_refused_and_one_is_named(tmp_path):
    dollars, yen = {**CALL, "currency": "USD"}, {**CALL, "id": "b", "currency": "JPY"}
    with pytest.raises(DataError, match="the book holds JPY, USD"):
        run(book(dollars, yen))
    with pytest.raises(DataError, match="a total needs one currency"):
        _ = book(dollars, yen).price(MARKET).total
    with pytest.raises(DataError, match="a total needs one currency"):
        _ = book(dollars, yen, cash=100.0).greeks(MARKET).total
    with pytest.raises(DataError, match="the book holds positions without a currency, USD"):
        run(book(dollars, {**CALL, "id": "c"}))
    risk = run(book(dollars, shares={"A": 1.0}, cash=5.0))
    assert (
        risk.currency == "USD"
        and "USD" in risk.summary()
        and "USD" in risk.report(tmp_path / "risk.html").read_text()
    )
    assert "USD" in book(dollars, cash=5.0).price(MARKET).summary()


@pytest.mark.parametrize(
    ("move", "match"),
    [
        ({"spott": (-0.1, 0.0)}, "unknown scenario column 'spott'; did you mean 'spot'"),
        ({"vol": (0.0, 0.01)}, "unknown scenario column 'vol'"),
        ({"spot": {"AA": (-0.1, 0.0)}}, "unknown underlying in a scenario of spot: 'AA'"),
        ({"volatility": {"a": (0.0, 0.1)}}, "unknown underlying in a scenario of volatility: 'a'"),
    ],
)
def test_a_scenario_of_a_name_that_nobody_has(move, match):
    with pytest.raises(NameUnknown, match=match):
        run(book(CALL), gq.Scenarios([{"spot": (0.0, 0.0)}, move], ["first", "second"]))


def test_a_stress_of_one_name_moves_that_one():
    risk = run(
        book(CALL, shares={"A": 1.0, "B": 1.0}),
        gq.Scenarios(
            [{"spot": {"B": (-0.5, 0.0)}}, {"spot": {"C": (-0.5, 0.0)}}],
            ["B", "C, which nobody holds"],
        ),
    )
    assert risk.pnl.loc["B"].tolist() == [0.0, 0.0, -25.0] and risk.pnl.iloc[1].tolist() == [
        0.0,
        0.0,
        0.0,
    ]


def test_a_history_must_have_every_underlying(walk_panel):
    moves = gq.Scenarios.historical(
        walk_panel, hold=["volatility", "rate", "dividend_yield"], window=5
    )
    assert run(book(CALL), moves).pnl.shape == (5, 1)
    with pytest.raises(DataError, match="no history of the underlying 'Q'"):
        run(book({**CALL, "underlying": "Q", "spot": 1.0}), moves)


def test_the_meta_is_of_the_whole_run():
    start = time.perf_counter()
    risk = run(
        book(CALL, shares={"A": 1.0}),
        gq.Scenarios.grid(spot=np.linspace(-0.3, 0.3, 40).tolist()),
        paths=1234,
        seed=5,
        device="cpu:1",
    )
    assert 0.0 < risk.meta["seconds"] <= time.perf_counter() - start
    assert {k: risk.meta[k] for k in ("paths", "seed", "scenarios", "positions")} == {
        "paths": 1234,
        "seed": 5,
        "scenarios": 40,
        "positions": 2,
    }
    assert risk.meta["device"].startswith("cpu")
    shares = gq.Portfolio({"s": {"A": 1.0}}).risk(MARKET, DOWN, progress=False)
    assert shares.meta["seconds"] > 0.0 and shares.meta["scenarios"] == 2


@pytest.mark.parametrize("row", [CALL, HESTON, BATES], ids=lambda r: r["id"])
def test_vega_is_what_a_scenario_of_volatility_moves(row):
    """By a small scenario, whatever the model's variances are."""
    portfolio, step = book(row), 1e-4
    vega = portfolio.greeks(MARKET).frame["vega"][0]
    up, down = run(portfolio, gq.Scenarios.grid(volatility=[step, -step])).total
    assert vega == pytest.approx((up - down) / (2.0 * step), rel=1e-3)


def test_a_volatility_of_zero_has_no_proportion():
    risk = run(book({**HESTON, "v0": 0.0}), gq.Scenarios.grid(volatility=[0.01]))
    assert "v0 is 0" in risk.messages["o/heston"]


def test_a_baskets_assets_come_from_the_market_and_move_by_name():
    named = {**BASKET, "underlyings": ["A", "B"]}
    own = {
        **BASKET,
        "spots": [100.0, 50.0],
        "volatilities": [0.2, 0.3],
        "dividend_yields": [0.01, 0.0],
    }
    assert book(named).price(MARKET).frame["price"][0] == book(own).price(MARKET).frame["price"][0]
    moves = gq.Scenarios(
        [
            {"spot": {"A": (-0.1, 0.0)}},
            {"spot": {"B": (-0.1, 0.0)}},
            {"volatility": (0.0, 0.05)},
            {"dividend_yield": {"A": (0.0, 0.01)}},
        ],
        ["A", "B", "vol", "yield"],
    )
    changed = (
        {"spots": [90.0, 50.0]},
        {"spots": [100.0, 45.0]},
        {"volatilities": [0.25, 0.35]},
        {"dividend_yields": [0.02, 0.0]},
    )
    right = [
        book({**own, **change}).price(MARKET).frame["price"][0]
        - book(own).price(MARKET).frame["price"][0]
        for change in changed
    ]
    for row in (named, {**own, "underlyings": ["A", "B"]}):
        np.testing.assert_allclose(run(book(row), moves).total, right, rtol=1e-9)
    assert "name its assets in a column 'underlyings'" in run(book(own)).messages["o/basket"]
    lost = run(book({**BASKET, "underlyings": ["A", "Q"]}))
    assert (
        lost.status["o/basket"] == "failed"
        and lost.messages["o/basket"] == "spots[0]: the market has no spot of 'Q'"
    )


def test_columns_of_the_callers_own_come_back(tmp_path):
    when = pd.Timestamp("2024-05-01 10:00", tz="UTC")
    rows = pd.DataFrame(
        [
            {
                **CALL,
                "desk": "rates",
                "trader": None,
                "traded": when,
                "tags": {"a": 1},
                "limit_used": 0.25,
                "Unnamed: 0": 7,
            },
            {**CALL, "id": "b", "desk": "fx", "tags": [1, "x"], "Unnamed: 0": 8},
        ],
        index=["x", "y"],
    )
    found = gq.price(rows, market=MARKET).frame
    assert found.index.tolist() == ["x", "y"] and (found["status"] == "ok").all()
    for name in ("desk", "tags", "limit_used", "Unnamed: 0", "traded"):
        pd.testing.assert_series_equal(found[name], rows[name], check_dtype=False)
    plain = rows.drop(columns=["tags", "trader"])
    plain.to_parquet(tmp_path / "book.parquet")
    gq.price(tmp_path / "book.parquet", market=MARKET).to_parquet(tmp_path / "priced.parquet")
    back = pd.read_parquet(tmp_path / "priced.parquet")
    assert back["desk"].tolist() == ["rates", "fx"] and back["price"].notna().all()
    with pytest.raises(NameUnknown, match="'maturty'; did you mean 'maturity'"):
        gq.price(rows.assign(maturty=1.0), market=MARKET)


@pytest.mark.parametrize("word", ["call", "CALL", "Call ", "C", "c", " call"])
def test_spellings_of_a_call(word):
    right = gq.price(pd.DataFrame([CALL]), market=MARKET).frame["price"][0]
    assert (
        gq.price(pd.DataFrame([{**CALL, "option_type": word}]), market=MARKET).frame["price"][0]
        == right
    )
    made = gq.payoffs.European(option_type=[word, "P"], strike=100.0, maturity=1.0)
    assert made.option_type.tolist() == [1.0, -1.0]


@pytest.mark.parametrize("word", ["down-and-out", "down and out", "Down_And_Out", "DOWNANDOUT"])
def test_spellings_of_a_choice(word):
    row = {**CALL, "product": "Barrier", "barrier": 80.0, "barrier_type": word}
    assert gq.price(pd.DataFrame([row]), market=MARKET).frame["status"][0] == "ok"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,000.00", 1000.0),
        (" 100 ", 100.0),
        ("1e2", 100.0),
        ("1_000", 1000.0),
        ("12,345,678", 12345678.0),
    ],
)
def test_spellings_of_a_number(text, number):
    found = [
        gq.price(pd.DataFrame([{**CALL, "strike": strike}]), market=MARKET).frame.iloc[0]
        for strike in (text, number)
    ]
    assert found[0]["price"] == found[1]["price"] and found[0]["status"] == "ok"


@pytest.mark.parametrize("text", ["1.000,00", "1,00", "abc", "1 000", "--1"])
def test_what_is_no_number_is_named(text):
    found = gq.price(pd.DataFrame([CALL, {**CALL, "id": "b", "strike": text}]), market=MARKET).frame
    assert found["status"].tolist() == ["ok", "failed"] and repr(text) in found["message"][1]


SHARES = gq.Portfolio({"s": {"A": 10.0, "B": -20.0, "C": 30.0}})


@pytest.fixture(scope="module")
def moves():
    draw = np.random.default_rng(2)
    rows = [
        {"spot": {name: (float(draw.normal(0.0, 0.02)), 0.0) for name in "ABC"}} for _ in range(200)
    ]
    return gq.Scenarios(rows, [str(k) for k in range(200)])


class Estimator:
    """Gives the weights it is told, or fails."""

    def __init__(self, weights):
        self.told = weights

    def fit(self, returns):
        if isinstance(self.told, Exception):
            raise self.told
        self.weights_ = np.asarray(self.told)


def test_no_side_is_turned_unasked(moves):
    pytest.importorskip("cvxpy")
    risk = run(SHARES, moves)
    for objective in ("expected_shortfall", Estimator([0.2, 0.3, 0.5])):
        frame = SHARES.optimize(risk, vary="s", objective=objective).frame
        assert (np.sign(frame["new_value"]) * np.sign(frame["value"]) >= 0.0).all()
        assert frame["new_value"].abs().sum() <= frame["value"].abs().sum() * (1.0 + 1e-6)
    weights = SHARES.optimize(risk, vary="s", objective=Estimator([0.2, 0.3, 0.5])).frame
    np.testing.assert_allclose(
        weights["new_value"].abs() / weights["value"].abs().sum(), [0.2, 0.3, 0.5]
    )


@pytest.mark.parametrize(
    ("told", "match"),
    [
        (
            ValueError("singular matrix"),
            "the estimator Estimator failed on 200 scenarios of 3 positions: singular matrix",
        ),
        ([0.5, 0.5], r"gave weights of shape \(2,\): must be 3 finite numbers"),
        ([0.5, np.nan, 0.5], "must be 3 finite numbers"),
        ([0.8, -0.2, 0.4], "gives 's/B' the weight -0.2, which would turn it round"),
        ([0.0, 0.0, 0.0], "must be >= 0"),
    ],
)
def test_an_estimators_failure_is_one_of_ours(moves, told, match):
    with pytest.raises(DataError, match=match):
        SHARES.optimize(run(SHARES, moves), vary="s", objective=Estimator(told))


def test_constraints_that_cannot_be_met_are_named(monkeypatch, moves):
    pytest.importorskip("cvxpy")
    from gpuquant.portfolio import optimize

    monkeypatch.setattr(optimize, "MOST", 0.5)
    longs = gq.Portfolio({"s": {"A": 10.0, "C": 30.0}})
    with pytest.raises(
        DataError,
        match=r"infeasible.*each multiple up to 0\.5; the net value of the varied positions kept",
    ):
        longs.optimize(run(longs, moves), vary="s")


def test_more_positions_than_scenarios_is_said():
    pytest.importorskip("cvxpy")
    with pytest.warns(UserWarning, match="3 positions over 2 scenarios"):
        SHARES.optimize(
            run(
                SHARES,
                gq.Scenarios(
                    [{"spot": {"A": (-0.1, 0.0), "B": (0.1, 0.0), "C": (-0.2, 0.0)}}] * 2,
                    ["a", "b"],
                ),
            ),
            vary="s",
        )


def test_a_position_worth_nothing_has_no_returns(moves):
    empty = gq.Portfolio({"s": {"A": 10.0, "B": 0.0}})
    with pytest.raises(InputError, match="'s/B' is worth nothing"):
        empty.optimize(run(empty, moves), vary="s", objective=Estimator([0.5, 0.5]))
