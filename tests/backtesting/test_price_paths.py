"""Rules over paths that are made as they walk: the prices are the models', the same for any
threads, and never kept.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import DataError, GpuquantError, InputError
from gpuquant.rules.base import Rule
from tests import twin

HESTON = gq.models.Heston(
    spot=100.0, rate=0.05, v0=0.04, kappa=1.5, long_variance=0.04, vol_of_vol=0.3, correlation=-0.7
)
FLAT = gq.models.BlackScholes(spot=100.0, rate=0.03, volatility=0.2)
CROSS = gq.rules.MovingAverageCross(fast=(3, 5), slow=10)


@dataclass(frozen=True)
class Hold(Rule):
    """Buys at the first bar and keeps."""

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0

    @staticmethod
    def decide(r, i, state, past, k):
        return state, 1.0


@pytest.mark.parametrize(
    "model",
    [
        FLAT,
        HESTON,
        gq.models.Merton(
            spot=100.0,
            rate=0.03,
            volatility=0.2,
            intensity=1.0,
            jump_mean=-0.1,
            jump_volatility=0.1,
        ),
    ],
)
def test_the_paths_are_those_that_are_priced(model):
    """Held from the first bar to the last, the growth is the spot's: its mean over the paths is
    that of what a call struck at nothing pays on the paths of a price.
    """
    bars = 13
    found = gq.backtest(
        gq.SimulatedPrices(model=model, paths=4000, bars=bars, periods=12.0, seed=5, tick=1e-6),
        Hold(),
        fill="same_close",
        cash=100.0,
    )
    call = gq.payoffs.European(option_type="call", strike=1e-9, maturity=(bars - 1) / 12.0)
    priced = gq.simulate(call, model, paths=4000, steps=bars - 1, seed=5, precision="double")
    expected = priced.payments.mean() * np.exp(model.rate[0] * (bars - 1) / 12.0)
    assert 100.0 * (1.0 + found.measures["total_return"]).mean() == pytest.approx(
        expected, rel=1e-7
    )


def test_a_path_can_be_run_again():
    found = gq.backtest(
        gq.SimulatedPrices(model=HESTON, paths=50, bars=252, seed=1),
        CROSS,
        costs=gq.costs.Proportional(rate=0.001),
    )
    assert len(found) == 100 and list(found.frame.columns[:2]) == ["path", "fast"]
    equity = found.equity([7, 42])
    np.testing.assert_allclose(
        equity.iloc[-1] / 1e6 - 1.0, found.measures["total_return"][[7, 42]], rtol=1e-12
    )
    assert len(found.orders([7])) == found.measures["orders"][7]
    assert found.summary().startswith("50 paths of 252 bars, 2 rules on each")
    with pytest.raises(GpuquantError, match="paths are not trials"):
        found.deflated_sharpe()


def test_the_same_bits_for_any_threads():
    one, two = (
        gq.backtest(gq.SimulatedPrices(model=HESTON, paths=64, bars=100), CROSS, device=device).sums
        for device in ("cpu:1", "cpu:2")
    )
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    other = gq.backtest(gq.SimulatedPrices(model=HESTON, paths=64, bars=100, seed=1), CROSS)
    assert (other.sums["growth"] != one["growth"]).any()


def test_resampled_bars_are_those_of_history():
    draw = np.random.default_rng(3)
    close = pd.DataFrame(
        {"A": (50.0 * np.exp(np.cumsum(draw.normal(0.0005, 0.02, 400)))).round(2)},
        index=pd.bdate_range("2020-01-01", periods=400),
    )
    history = np.diff(np.log(close["A"].to_numpy()))
    for block in (1.0, 20.0):
        found = gq.backtest(
            gq.BootstrappedPrices(prices=close, paths=600, bars=100, block=block, tick=1e-7),
            Hold(),
            fill="same_close",
        )
        growth = np.log1p(found.measures["total_return"])
        error = growth.std() / np.sqrt(600)
        assert abs(growth.mean() - 99 * history.mean()) < 4 * error
        moves = np.log1p(found.returns([3]).to_numpy()[1:, 0])
        nearest = np.abs(moves[:, None] - history[None, :])
        assert nearest.min(axis=1).max() < 1e-6
        follows = (np.diff(nearest.argmin(axis=1)) == 1).mean()
        assert follows > 0.85 if block > 1 else follows < 0.1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: gq.SimulatedPrices(model=FLAT, paths=0, bars=10),
            "paths = 0: must be a whole number >= 1",
        ),
        (lambda: gq.SimulatedPrices(model=3, paths=1, bars=10), "must be a model such as"),
        (
            lambda: gq.SimulatedPrices(
                model=gq.models.CGMY(
                    spot=1.0, rate=0.0, activity=1.0, left_decay=5.0, right_decay=5.0, fineness=0.5
                ),
                paths=1,
                bars=9,
            ),
            "can be simulated",
        ),
        (
            lambda: gq.SimulatedPrices(
                model=gq.models.BlackScholes(spot=[1.0, 2.0], rate=0.0, volatility=0.1),
                paths=1,
                bars=9,
            ),
            "with 2 rows: must have one",
        ),
        (
            lambda: gq.BootstrappedPrices(
                prices=pd.DataFrame(np.ones((9, 2)), index=pd.bdate_range("2020-01-01", periods=9)),
                paths=1,
                bars=9,
            ),
            "prices have 2 assets",
        ),
        (
            lambda: gq.backtest(
                gq.SimulatedPrices(model=FLAT, paths=4, bars=9), weights=np.ones((9, 1))
            ),
            "paths and stores take a rule",
        ),
    ],
)
def test_bad_paths_are_named(make, words):
    with pytest.raises(GpuquantError, match=words):
        make()


def test_a_path_too_long_for_a_thread_of_a_gpu_is_refused(monkeypatch):
    twin.stand_in(monkeypatch)
    with pytest.raises(InputError, match="room for a path of 1000 bars, not of 1001"):
        gq.backtest(gq.SimulatedPrices(model=FLAT, paths=4, bars=1001), CROSS, device="cuda")
    assert (
        "has not been measured"
        in gq.backtest(gq.SimulatedPrices(model=FLAT, paths=4, bars=9), CROSS).meta["device_reason"]
    )


def test_a_store_gives_what_its_panel_gives(walk_panel, tmp_path, monkeypatch):
    walk_panel.to_parquet(tmp_path / "prices.parquet")
    rule, fees = (
        gq.rules.MovingAverageCross(fast=(3, 5), slow=(15, 20)),
        gq.costs.Proportional(rate=0.001),
    )
    whole = gq.backtest(walk_panel, rule, costs=fees)
    store = gq.Store(tmp_path / "prices.parquet", megabytes=8 * 8 * 900 * 2 / 1e6)
    assert [(part.start, part.stop) for part in store.groups()] == [(0, 2), (2, 4), (4, 6)]
    monkeypatch.setattr(gq.Panel, "read", None)
    streamed = gq.backtest(store, rule, costs=fees)
    for name in whole.sums:
        np.testing.assert_array_equal(whole.sums[name], streamed.sums[name])
    pd.testing.assert_frame_equal(whole.frame, streamed.frame)
    pd.testing.assert_frame_equal(whole.orders([7]), streamed.orders([7]))
    best = gq.backtest(store, rule, costs=fees, top=3)
    assert (
        best.columns.tolist() == np.argsort(-whole.measures["sharpe"], kind="stable")[:3].tolist()
    )
    with pytest.raises(DataError, match="does not exist"):
        gq.Store("absent.parquet")


def test_a_window_too_long_for_exact_sums_is_refused(walk_panel, tmp_path):
    """Of prices in memory and in a store."""
    walk_panel.to_parquet(tmp_path / "prices.parquet")
    for prices in (walk_panel, gq.Store(tmp_path / "prices.parquet")):
        with pytest.raises(
            DataError, match="a window of 100000000 bars is too long for exact sums"
        ):
            gq.backtest(prices, gq.rules.MovingAverageCross(fast=3, slow=1e8))


@pytest.mark.slow
def test_workers_give_the_same_bits(walk_panel):
    pytest.importorskip("distributed")
    from distributed import Client, LocalCluster

    rule = gq.rules.MovingAverageCross(fast=(3, 5), slow=(15, 20))
    whole = gq.backtest(walk_panel, rule)
    paths = gq.backtest(gq.SimulatedPrices(model=FLAT, paths=40, bars=60), CROSS)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        for alone, spread in (
            (whole, gq.backtest(walk_panel, rule, workers=client)),
            (
                paths,
                gq.backtest(
                    gq.SimulatedPrices(model=FLAT, paths=40, bars=60), CROSS, workers=client
                ),
            ),
        ):
            for name in alone.sums:
                np.testing.assert_array_equal(alone.sums[name], spread.sums[name])
