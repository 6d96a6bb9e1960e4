"""Splits purge what a label would know; the ledger counts what was tried; deflation believes it."""

import numpy as np
import pandas as pd
import pytest

from gpuquant import measures
from gpuquant.backtesting.honesty import Ledger
from gpuquant.backtesting.splits import WalkForward
from gpuquant.errors import DataError, InputError

DATES = pd.bdate_range("2000-01-03", "2012-12-31").to_numpy()


@pytest.mark.parametrize(("span", "embargo", "expanding"), [(2, 0, False), (6, 0, True), (22, 10, False)])
def test_no_training_label_reaches_the_test(span, embargo, expanding):
    folds = list(WalkForward(train="4Y", test="1Y", embargo=embargo, expanding=expanding).folds(DATES, span))
    assert len(folds) == 9
    for fold in folds:
        assert fold.train.max() + span + embargo < fold.test.min()
        assert len(np.intersect1d(fold.train, fold.test)) == 0
        assert fold.train.max() + span + embargo + 1 >= fold.test.min()  # and no bar more than needed is purged
    tested = np.concatenate([fold.test for fold in folds])
    assert (np.diff(tested) == 1).all()  # every later date is tested once
    starts = [fold.train.min() for fold in folds]
    assert (np.diff(starts) == 0).all() if expanding else (np.diff(starts) > 200).all()


@pytest.mark.parametrize("wrong", ["8", "Y", "0Y", "8y", "1.5Y", ""])
def test_bad_lengths_are_named(wrong):
    with pytest.raises(InputError, match="must be a length such as '8Y' or '6M'"):
        WalkForward(train=wrong, test="1Y")


def test_too_short_a_history_is_refused():
    with pytest.raises(DataError, match="too short for a training period of 20Y"):
        list(WalkForward(train="20Y", test="1Y").folds(DATES, 2))


def test_the_ledger_counts_different_trials_once(tmp_path):
    draw, ledger = np.random.default_rng(0), Ledger(tmp_path / "trials.parquet")
    assert ledger.trials() == (0, 0.0)
    for k in range(5):
        ledger.record({"window": k}, draw.normal(0, 0.01, 500))
    ledger.record({"window": 3}, draw.normal(0, 0.01, 500))
    trials, spread = ledger.trials()
    assert trials == 5 and len(ledger.frame()) == 6
    assert 0 < spread < 0.1


def test_deflated_sharpe_does_not_believe_luck():
    """The best of 64 trials without skill passes 95 % in at most 5 % of cases; one real trial of Sharpe 3 nearly always does."""
    draw = np.random.default_rng(11)
    believed, detected, repetitions = 0, 0, 200
    for _ in range(repetitions):
        trials = draw.normal(0, 0.01, (1008, 64))
        ratios = trials.mean(0) / trials.std(0, ddof=1)
        believed += measures.deflated_sharpe(trials[:, ratios.argmax()], 64, ratios.std(ddof=1)) > 0.95
        trials[:, 0] += 0.01 * 3.0 / np.sqrt(252)
        ratios = trials.mean(0) / trials.std(0, ddof=1)
        detected += measures.deflated_sharpe(trials[:, ratios.argmax()], 64, ratios.std(ddof=1)) > 0.95
    assert believed <= 0.05 * repetitions + 3 * np.sqrt(repetitions * 0.05 * 0.95)
    assert detected >= 0.85 * repetitions


def test_tail_measures_by_hand():
    pnl = np.array([-10.0, -4.0, -2.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert measures.expected_shortfall(pnl, 0.8) == pytest.approx(7.0)
    assert measures.expected_shortfall(pnl, 0.85) == pytest.approx((10 + 0.5 * 4) / 1.5)
    assert measures.value_at_risk(pnl, 0.9) == 10.0
    normal = np.random.default_rng(1).normal(size=400_000)
    assert measures.value_at_risk(normal, 0.99) == pytest.approx(2.3263, abs=0.03)
    assert measures.expected_shortfall(normal, 0.975) == pytest.approx(2.3378, abs=0.03)
