"""Entries and exits look at what an asset holds: against a loop that anyone can follow."""

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import InputError
from tests import twin
from tests.backtesting.test_terms import bars

UNITS = 10.0
DRAW = np.random.default_rng(2)
PANEL = bars(np.random.default_rng(6), 250, 3, ranges=True)


def drawn(*names, chance=0.15):
    """Truths by name, never long and short at one bar."""
    found = {name: DRAW.random(PANEL.close.shape) < chance for name in names}
    if {"enter", "short"} <= set(names):
        found["short"] &= ~found["enter"]
    return found


CASES = {
    "long": (drawn("enter", "exit"), False),
    "both sides": (drawn("enter", "exit", "short", "cover"), False),
    "only if flat": (drawn("enter", "exit", "short", "cover"), True),
    "turns alone": (drawn("enter", "short"), False),
}


def followed(given, only_if_flat, asset, fill):
    """Fills (bar, signed units) of ten units a side."""
    none = np.zeros(PANEL.bars, bool)
    enter, out, short, cover = (
        given[name][:, asset] if name in given else none
        for name in ("enter", "exit", "short", "cover")
    )
    held, fills, late = 0.0, [], int(fill == "next")
    for t in range(PANEL.bars - late):
        goal = held
        leaves = (held > 0 and out[t]) or (held < 0 and cover[t])
        if leaves:
            goal = 0.0
        if held == 0.0 or not only_if_flat:
            if enter[t] and not (held > 0 and leaves):
                goal = UNITS
            if short[t] and not (held < 0 and leaves):
                goal = -UNITS
        if goal != held:
            fills.append((t + late, goal - held))
            held = goal
    return fills


@pytest.mark.parametrize("fill", ["next", "same_close", "same_open"])
@pytest.mark.parametrize("name", CASES)
def test_they_trade_as_a_slow_loop_does(name, fill):
    given, only_if_flat = CASES[name]
    found = gq.backtest(
        PANEL,
        signals=gq.Entries(**given, only_if_flat=only_if_flat),
        size=gq.Size(size_type="units", amount=UNITS),
        fill=fill,
        cash=1e6,
    )
    orders = found.orders()
    assert len(orders) > 30
    for column in range(len(PANEL.assets)):
        mine = orders[orders["column"] == column]
        signed = np.where(mine["side"] == "buy", mine["size"], -mine["size"])
        right = followed(given, only_if_flat, column, fill)
        assert list(zip(mine["bar"].tolist(), signed.tolist(), strict=True)) == right, column


def test_a_stop_that_closes_a_position_lets_it_enter_again():
    """What counts is what is held, not what the signals alone would hold."""
    close = pd.DataFrame(
        {"A": [100.0, 100.0, 90.0, 90.0, 95.0, 95.0]}, index=pd.bdate_range("2025-01-02", periods=6)
    )
    enter = np.array([1, 0, 0, 1, 0, 0])[:, None].astype(bool)
    found = gq.backtest(
        close,
        signals=gq.Entries(enter=enter, only_if_flat=True),
        stops=gq.Stops(stop_loss=0.05),
        size=gq.Size(size_type="units", amount=1.0),
        fill="same_close",
    )
    assert found.orders()["bar"].tolist() == [0, 2, 3]


def test_frames_are_read_by_date_and_name():
    frame = pd.DataFrame(False, index=PANEL.index[10:20], columns=[PANEL.assets[1]])
    frame.iloc[3, 0] = True
    found = gq.backtest(PANEL, signals=gq.Entries(enter=frame), fill="same_close").orders()
    assert found["bar"].tolist() == [13] and found["column"].tolist() == [1]


def test_of_rows_between_two_bars_any_true_one_counts():
    days = pd.to_datetime(["2025-01-10", "2025-01-13", "2025-01-14"])  # a weekend between
    close = pd.DataFrame({"A": [10.0, 11.0, 12.0]}, index=days)
    weekend = pd.to_datetime(["2025-01-11", "2025-01-12"])
    enter = pd.DataFrame({"A": [True, False]}, index=weekend)
    found = gq.backtest(
        close, signals=gq.Entries(enter=enter), align="next", fill="same_close"
    ).orders()
    assert found["bar"].tolist() == [1]


def test_what_is_no_truth_is_refused():
    wrong = np.zeros(PANEL.close.shape)
    wrong[3, 1] = 0.5
    with pytest.raises(InputError, match=r"signals\[.*S1\], exit: must be true or false"):
        gq.backtest(PANEL, signals=gq.Entries(enter=wrong == 1.0, exit=wrong))
    both = wrong != 0.0
    with pytest.raises(InputError, match=r"S1\], enter and short: only one at a bar"):
        gq.backtest(PANEL, signals=gq.Entries(enter=both, short=both))
    with pytest.raises(InputError, match="entries and exits are signals"):
        gq.backtest(PANEL, weights=gq.Entries(enter=both))


@pytest.mark.parametrize("device", ["python", "cuda"])
def test_python_and_a_gpus_threads_say_the_same(device, monkeypatch):
    small = bars(np.random.default_rng(3), 40, 1)
    given = {k: v[:40, :1] for k, v in CASES["both sides"][0].items()}
    how = {"signals": gq.Entries(**given), "cash": 1e5}
    host = gq.backtest(small, device="cpu", **how).measures
    with monkeypatch.context() as patch:
        twin.stand_in(patch)
        found = gq.backtest(small, device=device, **how).measures
    for name in ("total_return", "orders", "max_drawdown"):
        np.testing.assert_allclose(found[name], host[name], rtol=1e-12, atol=1e-14)
