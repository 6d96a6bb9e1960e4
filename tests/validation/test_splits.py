"""Splits purge what a label would know; the ledger counts what was tried; deflation believes it."""

import contextlib
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import measures, splits
from gpuquant.errors import DataError, GpuquantError, InputError
from gpuquant.validation import overfitting
from gpuquant.validation.overfitting import TrialLog
from gpuquant.validation.splits import Combinatorial, Purged, WalkForward, cross_validated_sharpe

DATES = pd.bdate_range("2000-01-03", "2012-12-31").to_numpy()


@pytest.mark.parametrize(
    ("span", "embargo", "expanding"), [(2, 0, False), (6, 0, True), (22, 10, False)]
)
def test_no_training_label_reaches_the_test(span, embargo, expanding):
    folds = list(
        WalkForward(train="4Y", test="1Y", embargo=embargo, expanding=expanding).folds(DATES, span)
    )
    assert len(folds) == 9
    for fold in folds:
        assert fold.train.max() + span + embargo < fold.test.min()
        assert len(np.intersect1d(fold.train, fold.test)) == 0
        assert (
            fold.train.max() + span + embargo + 1 >= fold.test.min()
        )  # and no bar more than needed is purged
    tested = np.concatenate([fold.test for fold in folds])
    assert (np.diff(tested) == 1).all()  # every later date is tested once
    starts = [fold.train.min() for fold in folds]
    assert (np.diff(starts) == 0).all() if expanding else (np.diff(starts) > 200).all()


@pytest.mark.parametrize("wrong", ["8", "Y", "0Y", "8y", "1.5Y", ""])
def test_bad_lengths_are_named(wrong):
    with pytest.raises(InputError, match="must be a length such as '8Y'"):
        WalkForward(train=wrong, test="1Y")


def test_too_short_a_history_is_refused():
    with pytest.raises(DataError, match="too short for a training period of 20Y"):
        list(WalkForward(train="20Y", test="1Y").folds(DATES, 2))


def test_the_ledger_counts_different_trials_once(tmp_path):
    draw, ledger = np.random.default_rng(0), TrialLog(tmp_path / "trials.parquet")
    assert ledger.trials() == (0, 0.0)
    for k in range(5):
        ledger.record({"window": k}, draw.normal(0, 0.01, 500))
    ledger.record({"window": 3}, draw.normal(0, 0.01, 500))
    trials, spread = ledger.trials()
    assert trials == 5 and len(ledger.frame()) == 6
    assert 0 < spread < 0.1


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("bars", [250, 1000])
def test_the_sharpe_error_counts_dependence_of_bars(share, bars):
    """On returns without a mean that keep a share of the bar before, the probability of a positive
    Sharpe ratio is above 95 % in 5 % of 2,000 records, and at most in 6 %.
    """
    draw, records = np.random.default_rng(5), 2000
    noise = draw.normal(0.0, 0.01, (bars + 100, records))
    returns = noise.copy()
    for t in range(1, len(returns)):
        returns[t] += share * returns[t - 1]
    z = measures.sharpe(returns[100:], 1.0) / measures.sharpe_error(returns[100:], 1.0)
    believed = (z > 1.6449).mean()
    assert 0.035 < believed < 0.05 + 3.0 * np.sqrt(0.05 * 0.95 / records), (believed, z.std())


def test_the_account_sums_what_the_measure_does():
    """The product with the bar before is summed through blocks of bars and idle ones."""
    draw = np.random.default_rng(1)
    days = pd.bdate_range("2015-01-01", periods=700)
    steps = 0.01 * draw.normal(size=700)
    steps[1:] += 0.6 * steps[:-1]
    prices = pd.DataFrame({"A": np.round(50.0 * np.exp(np.cumsum(steps)), 2)}, days)
    signals = pd.DataFrame({"A": np.where(np.arange(700) % 300 < 150, 1.0, 0.0)}, days)
    result = gq.backtest(prices, signals=signals)
    expected = measures.sharpe_error(result.returns()[0])
    assert float(result.frame["sharpe_error"].iloc[0]) == pytest.approx(expected, rel=1e-9)
    shuffled = draw.permutation(result.returns()[0])
    independent = measures.sharpe_error(shuffled, result.account.periods)
    assert expected > 1.2 * independent  # the mutant that leaves dependence out


def test_deflated_sharpe_does_not_believe_luck():
    """The best of 64 trials without skill passes 95 % in at most 5 % of cases; one real trial of
    Sharpe 3 nearly always does.
    """
    draw = np.random.default_rng(11)
    believed, detected, repetitions = 0, 0, 200
    for _ in range(repetitions):
        trials = draw.normal(0, 0.01, (1008, 64))
        ratios = trials.mean(0) / trials.std(0, ddof=1)
        believed += (
            measures.deflated_sharpe(trials[:, ratios.argmax()], 64, ratios.std(ddof=1)) > 0.95
        )
        trials[:, 0] += 0.01 * 3.0 / np.sqrt(252)
        ratios = trials.mean(0) / trials.std(0, ddof=1)
        detected += (
            measures.deflated_sharpe(trials[:, ratios.argmax()], 64, ratios.std(ddof=1)) > 0.95
        )
    assert believed <= 0.05 * repetitions + 3 * np.sqrt(repetitions * 0.05 * 0.95)
    assert detected >= 0.90 * repetitions


def test_tail_measures_by_hand():
    pnl = np.array([-10.0, -4.0, -2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert measures.expected_shortfall(pnl, 0.8) == pytest.approx(7.0)
    assert measures.expected_shortfall(pnl, 0.85) == pytest.approx((10 + 0.5 * 4) / 1.5)
    assert measures.value_at_risk(pnl, 0.9) == 4.0  # which one outcome of ten exceeds
    normal = np.random.default_rng(1).normal(size=400_000)
    assert measures.value_at_risk(normal, 0.99) == pytest.approx(2.3263, abs=0.03)
    assert measures.expected_shortfall(normal, 0.975) == pytest.approx(2.3378, abs=0.03)


def noise(draw, skill=0.0):
    """1008 bars of 64 trials, the first with a Sharpe ratio of `skill` a year."""
    trials = draw.normal(0, 0.01, (1008, 64))
    trials[:, 0] += 0.01 * skill / np.sqrt(252)
    return trials


def test_overfitting_is_a_coin_on_noise_and_rare_with_skill():
    draw = np.random.default_rng(4)
    on_noise = [overfitting.overfitting(noise(draw)) for _ in range(12)]
    with_skill = [overfitting.overfitting(noise(draw, 3.0)) for _ in range(12)]
    assert 0.40 <= np.mean([o.probability for o in on_noise]) <= 0.60
    assert np.mean([o.probability for o in with_skill]) <= 0.10
    assert on_noise[0].logits.shape == (12_870,) and np.mean([o.loss for o in on_noise]) > 0.3
    assert (
        np.mean([o.degradation[0] for o in on_noise]) < 0.0
    )  # what won by luck in one half pays for it in the other


def test_overfitting_by_hand():
    """Two blocks, two columns: each half's winner is looked up in the other."""
    draw = np.random.default_rng(2)
    values = draw.normal(0, 0.01, (40, 2))
    values[:20, 0] += 0.05
    values[20:, 1] += 0.05
    assert overfitting.overfitting(values, blocks=2).probability == 1.0
    values[20:, 0] += 0.2
    assert overfitting.overfitting(values, blocks=2).probability == 0.0
    for bad, words in (
        (values[:, :1], "two columns at least"),
        (values[:3], "at least two bars each"),
        (values * np.nan, r"returns\[0, 0\] = nan"),
    ):
        with pytest.raises(InputError, match=words):
            overfitting.overfitting(bad, blocks=2)


def test_the_shortest_record_grows_with_the_trials():
    """45 lucky trials are expected to show an annual Sharpe ratio of 1 in five years (Bailey et
    al., 2014, figure 2).
    """
    assert measures.minimum_length(45, 1.0) == pytest.approx(5.0, abs=0.1)
    assert (
        measures.minimum_length(1000, 1.0)
        > measures.minimum_length(45, 1.0)
        > measures.minimum_length(45, 2.0)
    )


@pytest.mark.parametrize("splits", [Purged(5, embargo=3), Combinatorial(6, 2, embargo=3)])
def test_purged_folds_share_no_label(splits):
    dates = np.datetime64("2020-01-01", "D") + np.arange(300)
    span, seen = 5, np.zeros(300)
    folds = list(splits.folds(dates, span))
    for fold in folds:
        tests = np.zeros(300, bool)
        tests[fold.test] = True
        seen[fold.test] += 1
        for t in fold.train:
            assert not tests[max(t - span, 0) : t + span + 1].any(), (t, fold)
            assert not tests[max(t - span - 3, 0) : t].any(), (t, fold)  # the embargo after a test
        assert len(fold.train) > 100
    assert (seen == seen[0]).all()
    if isinstance(splits, Combinatorial):
        paths = splits.paths(dates)
        assert len(folds) == 15 and len(paths) == 5
        for path in paths:
            assert [rows.tolist() for _, rows in path] == [
                part.tolist() for part in np.array_split(np.arange(300), 6)
            ]
            assert all(set(rows) <= set(folds[number].test) for number, rows in path)
        assert len({number for path in paths for number, _ in path}) == 15


def test_folds_are_measured_without_running_again():
    draw = np.random.default_rng(3)
    returns, dates = (
        draw.normal(0.0002, 0.01, (300, 4)),
        np.datetime64("2020-01-01", "D") + np.arange(300),
    )
    folds = list(Combinatorial(6, 2).folds(dates, 5))
    train, test = cross_validated_sharpe(returns, folds)
    for k, fold in enumerate(folds):
        for found, rows in ((train[k], fold.train), (test[k], fold.test)):
            np.testing.assert_allclose(
                found, [measures.sharpe(returns[rows, j]) for j in range(4)], rtol=1e-9
            )


def test_a_ledger_counts_every_column_of_a_grid(tmp_path, walk_panel):
    import gpuquant as gq

    ledger = overfitting.TrialLog(tmp_path / "trials.parquet")
    grid = gq.backtest(walk_panel, gq.rules.MovingAverageCross(fast=(3, 5), slow=(10, 20)))
    assert ledger.record_grid(grid, "a first look") == len(grid) == 24
    assert (
        ledger.record_grid(grid, "a first look") == 24 and ledger.record_grid(grid, "another") == 48
    )
    best = grid.deflated_sharpe()
    assert (
        best["trials"] == 24
        and 0.0 <= best["deflated_sharpe"] <= 1.0
        and best["minimum_years"] > 0.0
    )
    assert grid.summary().startswith("deflated Sharpe")


def test_an_open_ledger_counts_by_itself(tmp_path, walk_panel):
    """Every column, those that `top` drops too, and other terms as other trials."""
    import gpuquant as gq

    rule = gq.rules.MovingAverageCross(fast=(3, 5), slow=(10, 20))
    with overfitting.TrialLog(tmp_path / "trials.parquet") as ledger:
        grid = gq.backtest(walk_panel, rule)
        gq.backtest(walk_panel, rule)
        assert ledger.trials()[0] == 24
        assert ledger.trials()[1] == pytest.approx(
            np.std(grid.measures["sharpe"] / np.sqrt(grid.account.periods), ddof=1)
        )
        gq.backtest(walk_panel, rule, costs=gq.costs.Proportional(rate=0.001))
        assert ledger.trials()[0] == 48
        gq.validation.lookahead.check(
            gq.rules.MovingAverageCross(fast=3, slow=10), walk_panel, cuts=3
        )
        assert ledger.trials()[0] == 48
    gq.backtest(walk_panel, rule, fill="same_close")
    assert ledger.trials()[0] == 48
    with overfitting.TrialLog(tmp_path / "best.parquet") as best:
        gq.backtest(walk_panel, rule, top=3)
    assert best.trials() == pytest.approx(
        (24, np.std(grid.measures["sharpe"] / np.sqrt(grid.account.periods), ddof=1))
    )


def test_a_ledger_counts_what_other_threads_try(tmp_path, walk_panel):
    """But for the checks that a thread runs; what has closed counts no more."""
    import gpuquant as gq

    def tried(fast):
        with overfitting.uncounted() if fast == 6 else contextlib.nullcontext():
            gq.backtest(walk_panel, gq.rules.MovingAverageCross(fast=fast, slow=20))

    with overfitting.TrialLog(tmp_path / "outer.parquet") as outer, ThreadPoolExecutor(3) as pool:
        list(pool.map(tried, (3, 4, 5, 6)))
        with overfitting.TrialLog(tmp_path / "inner.parquet") as inner:
            list(pool.map(tried, (5, 7)))
        list(pool.map(tried, (8, 9)))
    tried(10)
    assert (outer.trials()[0], inner.trials()[0]) == (6 * 6, 2 * 6)


def test_a_trial_of_signals_is_known_by_what_the_caller_gave(tmp_path, walk_panel):
    """So that a ledger begun before signals became bytes, and before stops could follow closes,
    does not count them anew.
    """
    import gpuquant as gq

    signals = np.random.default_rng(5).choice([1.0, 0.0, np.nan], walk_panel.close.shape)
    with overfitting.TrialLog(tmp_path / "trials.parquet") as ledger:
        gq.backtest(walk_panel, signals=signals, stops=gq.Stops(trailing=0.05))
        gq.backtest(
            walk_panel, signals=signals, stops=gq.Stops(trailing=0.05, trail_reference="close")
        )
    told = [json.loads(text) for text in ledger.frame()["description"]]
    assert {one["targets"] for one in told} == {hashlib.sha256(signals.tobytes()).hexdigest()}
    assert ["stops trail_reference" in one for one in told] == [False] * len(walk_panel.assets) + [
        True
    ] * len(walk_panel.assets)


def test_what_is_the_same_trial(tmp_path, walk_panel):
    """A stop alone is the stop of a grid; another asset, another way to be short of cash, are
    other trials; a feature's rules are none.
    """
    import gpuquant as gq
    from gpuquant.device import resolve_device

    rule = gq.rules.MovingAverageCross(fast=3, slow=10)
    one, other = walk_panel.columns(slice(0, 1)), walk_panel.columns(slice(1, 2))
    with overfitting.TrialLog(tmp_path / "stops.parquet") as ledger:
        gq.backtest(one, rule, stops=gq.Stops(stop_loss=[0.03, 0.06]))
        gq.backtest(one, rule, stops=gq.Stops(stop_loss=0.03))
        assert ledger.trials()[0] == 2
        grid = gq.rules.MovingAverageCross(fast=(3, 5), slow=10)
        for panel in (one, other):
            gq.backtest(panel, grid, top=1)
        assert ledger.trials()[0] == 6
        for short in ("pro_rata", "sequential"):
            gq.backtest(
                walk_panel, weights=np.full(walk_panel.close.shape, 0.1), cash_allocation=short
            )
        assert ledger.trials()[0] == 8
        gq.features.RuleReturns(window=5).compute(one, resolve_device("cpu"))
        assert ledger.trials()[0] == 8
    old = ledger.frame().drop(columns=["count", "spread"])
    old.to_parquet(tmp_path / "old.parquet")
    assert overfitting.TrialLog(tmp_path / "old.parquet").trials()[0] == old["trial"].nunique()


def test_bad_splits_are_named():
    for make, words in (
        (lambda: Purged(1), "folds_number = 1: must be a whole number >= 2"),
        (lambda: Combinatorial(4, 4), "tests = 4: must be below groups, 4"),
        (
            lambda: list(Combinatorial(6, 2).folds(np.arange(3).astype("datetime64[D]"), 1)),
            "3 bars are too few",
        ),
    ):
        with pytest.raises(GpuquantError, match=words):
            make()


def test_lengths_in_bars_hours_and_weeks():
    """Hourly bars around the clock: folds by bars and by hours are the same."""
    hours = np.datetime64("2024-01-01T00:00", "m") + 60 * np.arange(500)
    one, other = (
        list(WalkForward(train=a, test=b).folds(hours, 3)) for a, b in ((240, 120), ("240h", "5D"))
    )
    assert len(one) == len(other) == 3
    for fold, same in zip(one, other, strict=True):
        np.testing.assert_array_equal(fold.train, same.train)
        np.testing.assert_array_equal(fold.test, same.test)
        assert fold.train[-1] + 3 < fold.test[0] and len(fold.test) in (120, 20)
    weeks = list(WalkForward(train="52W", test="4W").folds(DATES, 2))
    assert all(len(fold.test) == 20 for fold in weeks[:-1])
    with pytest.raises(InputError, match="both must be bars"):
        WalkForward(train=100, test="1M")
    for wrong in (0, True, "8 years", "M"):
        with pytest.raises(InputError, match="train = "):
            WalkForward(train=wrong, test=5)


def test_folds_at_dates_of_ones_own():
    split = splits.Dated(["2005-01-01", "2008-06-15"], end="2010-01-01", embargo=2)
    first, second = split.folds(DATES, 4)
    assert (
        DATES[first.test[0]] == np.datetime64("2005-01-03") and first.test[-1] + 1 == second.test[0]
    )
    assert DATES[second.test[-1]] < np.datetime64("2010-01-01") <= DATES[second.test[-1] + 1]
    for fold in (first, second):
        assert fold.train[0] == 0 and fold.train[-1] + 4 + 2 < fold.test[0] <= fold.train[-1] + 8
    with pytest.raises(DataError, match=r"starts\[0\] = 1999-01-01: has no dates to train on"):
        list(splits.Dated(["1999-01-01"]).folds(DATES, 1))
    with pytest.raises(DataError, match=r"starts\[0\] = 2030-01-01: has no dates to test"):
        list(splits.Dated(["2030-01-01"]).folds(DATES, 1))
