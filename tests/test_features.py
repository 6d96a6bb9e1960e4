"""Features: causal, named, of the promised shape; simulated ones priced right."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant import family, features, learn, sizing
from gpuquant.data.panel import Panel
from gpuquant.device import resolve_device
from gpuquant.errors import DataError, InputError
from gpuquant.features import base
from gpuquant.features.base import Feature
from gpuquant.features.table import FeatureTable
from tests.indicators.duck import DeviceArray

MADE = (
    features.Momentum(window=21),
    features.RealizedVolatility(window=21),
    features.RuleReturns(window=30),
    features.SimulatedOptions(model=gq.models.Heston, window=120, maturity=10, every=3, paths=256),
    features.SimulatedOptions(model=gq.models.BlackScholes, window=60, maturity=5, paths=256),
    features.Reversal(window=(1, 5)),
    features.Parkinson(window=(5, 21)),
    features.GarmanKlass(),
    features.YangZhang(),
    features.MovingAverage(window=(5, 20)),
    features.ExponentialAverage(window=(5, 20)),
    features.RelativeStrength(),
    features.Convergence(),
    features.BollingerBands(),
    features.AverageTrueRange(),
    features.StochasticOscillator(),
    features.OnBalanceVolume(),
    features.Beta(),
    features.MarketCorrelation(),
    features.Skewness(),
    features.Kurtosis(),
    features.Calendar(),
    features.Rank(features.Momentum(window=(5, 21))),
    features.ZScore(features.RelativeStrength()),
    features.Neutralized(features.Momentum(), by={a: "xy"[k % 2] for k, a in enumerate("ABCDEF")}),
    features.Neutralized(features.Momentum(), by=features.Beta()),
    features.Alpha158(windows=(5, 20)),
)
ON_PRICES = [f for f in MADE if not isinstance(f, features.RuleReturns | features.SimulatedOptions)]


@pytest.fixture(scope="module")
def bars(walk_panel):
    """Whole bars around the closes of `walk_panel`."""
    return whole_bars(walk_panel.close, walk_panel.dates, walk_panel.assets)


def whole_bars(close, dates, assets, **more):
    draw = np.random.default_rng(8)
    high, low = (close * np.exp(s * np.abs(draw.normal(0, 0.01, close.shape))) for s in (1.0, -1.0))
    return Panel(
        close,
        dates,
        assets,
        open=low + (high - low) * draw.random(close.shape),
        high=high,
        low=low,
        volume=draw.integers(1, 10**6, close.shape).astype(float),
        **more,
    )


def ids(feature):
    inner = getattr(feature, "by", getattr(feature, "model", None))
    return type(feature).__name__ + getattr(inner, "__name__", type(inner).__name__)


@pytest.mark.parametrize("feature", MADE, ids=ids)
def test_the_past_does_not_move_when_the_future_does(feature, bars, device):
    """Prices after a cut are changed; every value up to it keeps its bits."""
    device = resolve_device(device)
    whole = device.get(feature.compute(bars, device), "feature")
    assert whole.shape == (bars.bars, len(bars.assets), len(feature.columns))
    assert np.isfinite(whole[feature.lookback :]).all() and len(set(feature.columns)) == len(
        feature.columns
    )
    for cut in (450, 777):
        changed = bars.close.copy()
        changed[cut + 1 :] = np.round(changed[cut + 1 :][:, ::-1] * 1.5 + 1, 2)
        future = whole_bars(changed, bars.dates, bars.assets).extra_fields()
        same = np.arange(bars.bars)[:, None] <= cut
        future = {k: np.where(same, v, future[k]) for k, v in bars.extra_fields().items()}
        again = feature.compute(bars.replaced(changed, future), device)
        again = device.get(again, "feature")
        np.testing.assert_array_equal(again[: cut + 1], whole[: cut + 1])
        moved = not np.array_equal(again[cut + 1 :], whole[cut + 1 :])
        assert moved or isinstance(feature, features.Calendar)


@pytest.mark.parametrize("feature", MADE, ids=ids)
def test_the_latest_bars_are_those_of_all(feature, bars, device):
    device = resolve_device(device)
    whole = device.get(feature.compute(bars, device), "feature")
    for count in (1, 5, 300, 900):
        latest = device.get(feature.latest(bars, device, count), "feature")
        np.testing.assert_array_equal(latest, whole[-count:])


@pytest.mark.parametrize("feature", ON_PRICES, ids=ids)
def test_a_missing_price_costs_its_asset_its_bar_and_nobody_else_anything(feature, bars):
    """Nobody else but by the market's mean, which the asset is not part of at that bar."""
    close = bars.close.copy()
    close[500, 2] = np.nan
    fields = {k: np.where(np.isnan(close), np.nan, v) for k, v in bars.extra_fields().items()}
    gap = Panel(close, bars.dates, bars.assets, allow_halts=True, **fields)
    device = resolve_device("cpu")
    whole, other = (feature.compute(panel, device) for panel in (bars, gap))
    assert np.isnan(other[500, 2]).all()
    known = np.isfinite(other)
    known[500, 2] = True
    assert (known == np.isfinite(whole)).all() or isinstance(feature, features.Alpha158)
    assert known[: feature.lookback].sum() == np.isfinite(whole[: feature.lookback]).sum()
    np.testing.assert_array_equal(other[:500], whole[:500])
    if not hasattr(feature, "feature") and not isinstance(
        feature, features.Beta | features.MarketCorrelation
    ):
        np.testing.assert_array_equal(np.delete(other, 2, axis=1), np.delete(whole, 2, axis=1))


@pytest.mark.parametrize("feature", MADE[2:5], ids=ids)
def test_a_missing_price_costs_pricers_and_rules_that_bar_alone(feature, walk_panel):
    close = walk_panel.close.copy()
    close[500, 2] = np.nan
    gap = Panel(close, walk_panel.dates, walk_panel.assets, allow_halts=True)
    device = resolve_device("cpu")
    whole, other = (feature.compute(panel, device) for panel in (walk_panel, gap))
    assert np.isnan(other[500, 2]).all()
    known = np.isfinite(other)
    known[500, 2] = True
    np.testing.assert_array_equal(known, np.isfinite(whole))
    np.testing.assert_allclose(other[:500], whole[:500], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("feature", ON_PRICES, ids=ids)
def test_an_asset_that_lists_late_has_the_values_of_its_own_history(feature, bars):
    late = bars.close.copy()
    late[:300, 1] = np.nan
    fields = {k: np.where(np.isnan(late), np.nan, v) for k, v in bars.extra_fields().items()}
    panel = Panel(late, bars.dates, bars.assets, allow_halts=True, **fields)
    device = resolve_device("cpu")
    values = feature.compute(panel, device)
    assert np.isnan(values[:300, 1]).all()
    if hasattr(feature, "feature") or isinstance(
        feature, features.Beta | features.MarketCorrelation
    ):
        assert np.isfinite(values[300 + feature.lookback :, 1]).all()
        return
    alone = feature.compute(bars.rows(slice(300, None)).columns(slice(1, 2)), device)
    np.testing.assert_allclose(values[300:, 1], alone[:, 0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("feature", ON_PRICES, ids=ids)
def test_a_split_changes_no_feature(feature, bars):
    """Four for one at bar 400: prices a quarter, volumes four times."""
    since = np.arange(bars.bars)[:, None] >= 400
    splits = np.where(np.arange(bars.bars)[:, None] == 400, 4.0, np.ones(bars.close.shape))
    fields = {
        k: np.where(since, v * 4.0 if k == "volume" else v / 4.0, v)
        for k, v in bars.extra_fields().items()
    }
    split = Panel(
        np.where(since, bars.close / 4.0, bars.close), bars.dates, bars.assets, splits=splits,
        **fields,
    )  # fmt: skip
    device = resolve_device("cpu")
    np.testing.assert_allclose(
        feature.compute(split, device), feature.compute(bars, device), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("feature", ON_PRICES, ids=ids)
def test_features_stay_on_the_device(feature, bars, monkeypatch):
    """In a GPU's stead: arrays that refuse to be mixed with those of the host."""
    cpu = resolve_device("cpu")
    whole = feature.compute(bars, cpu)
    monkeypatch.setattr(type(cpu), "put", lambda self, array, name, dtype=None: DeviceArray(array))
    fresh = bars.rows(slice(None))
    values = feature.compute(fresh, cpu)
    assert isinstance(values, DeviceArray)
    np.testing.assert_array_equal(values.array, whole)


def test_every_feature_of_the_family_is_tried():
    ours = [
        name
        for name, cls in family.members(Feature, "gpuquant.features").items()
        if cls.__module__.startswith("gpuquant.")
    ]
    assert set(ours) == {type(f).__name__ for f in MADE} | {"Frame", "Released"}


@pytest.mark.parametrize("feature", ON_PRICES, ids=ids)
def test_blocks_of_assets_are_those_of_the_whole(feature, bars, monkeypatch):
    monkeypatch.setattr(base, "BLOCK", 2 * bars.bars * len(feature.columns))
    device = resolve_device("cpu")
    for count, whole in (
        (None, feature.compute(bars, device)),
        (7, feature.latest(bars, device, 7)),
    ):
        parts = list(feature.blocks(bars, device, count))
        alone = getattr(feature, "per_asset", False)
        assert count is not None or len(parts) == (3 if alone else 1)
        np.testing.assert_array_equal(np.concatenate([v for _, v in parts], axis=1), whole)


def test_a_table_holds_every_feature_once(bars):
    device = resolve_device("cpu")
    level = features.Frame(bars.to_frame() + 1e9, name="level")
    table = FeatureTable.of([features.Momentum(window=(1, 5)), level], bars, device)
    assert table.columns == ("momentum_1", "momentum_5", "level")
    assert table.values.dtype == np.float32 and table.values.shape == (900, 6, 3)
    restored = table.values.astype(float) + table.offset
    np.testing.assert_allclose(restored[..., 2], bars.close + 1e9, rtol=1e-13)  # to 1e-4
    assert (table.known == np.isfinite(restored).all(axis=2)).all() and set(table.seconds) == {
        "Momentum",
        "Frame",
    }
    resident = learn.Samples(table.values, offset=table.offset).on("cpu")
    assert np.shares_memory(resident.features.numpy(), table.values)  # no copy


def test_a_column_without_any_value_is_named(bars):
    with pytest.raises(DataError, match=r"Momentum: the column 'momentum_2000' has no value"):
        FeatureTable.of([features.Momentum(window=(5, 2000))], bars, resolve_device("cpu"))


def test_a_release_counts_from_the_bar_after_it(bars):
    days = pd.DatetimeIndex(bars.dates)
    table = pd.DataFrame(
        {
            "asset": ["A", "A", "B", "A"],
            "known_at": [days[10], days[20] + pd.Timedelta("9h"), days[10], days[15]],
            "earnings": [1.0, 3.0, 7.0, 2.0],
        }
    )
    values = features.Released(table, ["earnings"]).compute(bars, resolve_device("cpu"))[..., 0]
    expected = np.full(900, np.nan)
    expected[11:], expected[16:], expected[21:] = 1.0, 2.0, 3.0
    np.testing.assert_array_equal(values[:, 0], expected)
    assert np.isnan(values[:11, 1]).all() and (values[11:, 1] == 7.0).all()
    assert np.isnan(values[:, 2:]).all()
    late = features.Released(table, ["earnings"], lag="30D").compute(bars, resolve_device("cpu"))
    np.testing.assert_array_equal(late[30:, 0, 0], values[:-30, 0])
    missing = table.assign(known_at=table["known_at"].where(table.index != 2))
    with pytest.raises(DataError, match=r"known_at\[2\] is missing"):
        features.Released(missing, ["earnings"]).compute(bars, resolve_device("cpu"))
    with pytest.raises(InputError, match="no column 'sales'"):
        features.Released(table, ["sales"])


def test_the_leak_check_covers_releases_and_refuses_frames(bars):
    """A release that is dated by the day it is about would be seen too early: the check cannot see
    that, but no row counts before it is known.
    """
    table = pd.DataFrame({"asset": ["A"], "known_at": [bars.dates[100]], "earnings": [1.0]})
    strategy = gq.Strategy(
        features=[features.Momentum(), features.Released(table, ["earnings"])],
        learner=learn.Learner(
            learn.networks.MLP(), ensemble=1, training=learn.TrainingConfig(steps=2)
        ),
        sizing=sizing.Equal(),
    )
    assert not gq.validation.lookahead.check(strategy, bars, cuts=20)
    strategy = replace(strategy, features=[features.Frame(bars.to_frame())])
    with pytest.raises(InputError, match="made before and cannot be checked"):
        gq.validation.lookahead.check(strategy, bars, cuts=20)


def test_a_feature_that_looks_ahead_is_caught(bars):
    """The mutant: full-sample scaling must fail the causality law."""

    class Scaled(features.Momentum):
        abstract = True

        def compute(self, panel, device):
            values = super().compute(panel, device)
            return values / np.nanstd(values)

    with pytest.raises(AssertionError):
        test_the_past_does_not_move_when_the_future_does(Scaled(21), bars, "cpu")


def test_momentum_and_volatility_by_pandas(walk_panel):
    log = np.log(walk_panel.to_frame())
    np.testing.assert_allclose(
        MADE[0].compute(walk_panel, resolve_device("cpu"))[..., 0],
        log.diff(21),
        rtol=1e-9,
        atol=1e-14,
    )
    realised = ((log.diff() ** 2).rolling(21).mean() * 365) ** 0.5
    np.testing.assert_allclose(
        MADE[1].compute(walk_panel, resolve_device("cpu"))[..., 0], realised, rtol=1e-7
    )


def test_rule_returns_are_those_of_the_rules(walk_panel):
    """The mean over the nine rules of what each earned in the window."""
    values = MADE[2].compute(walk_panel, resolve_device("cpu"))
    rule = gq.rules.MovingAverageCross(fast=(5, 10, 20), slow=(50, 100, 200))
    returns = gq.backtest(walk_panel, rule).returns().iloc[:, :9]
    rolled = returns.rolling(30).sum()
    np.testing.assert_allclose(values[40:, 0, 0], rolled.mean(axis=1)[39:], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        values[40:, 0, 1], rolled.std(axis=1, ddof=0)[39:], rtol=1e-6, atol=1e-10
    )


def test_simulated_options_are_prices(walk_panel):
    """The Black-Scholes strip at one bar against a price of its own, on the same draws."""
    feature = MADE[4]
    values = feature.compute(walk_panel, resolve_device("cpu"))
    returns = np.diff(np.log(walk_panel.close[:, 2]))
    t = 500
    volatility = np.sqrt((returns[t - 60 : t] ** 2).mean() * 365)
    model = gq.models.BlackScholes(spot=1.0, rate=0.0, volatility=volatility)
    asian = gq.payoffs.Asian(option_type="call", strike=1.0, maturity=5 / 365, fixings=5)
    expected = gq.price(
        asian,
        model,
        engine="monte_carlo",
        paths=256,
        precision="single",
        common_random_numbers=True,
    ).price
    assert values[t, 2, 0] == pytest.approx(expected, rel=1e-5)
    assert (values[200:, :, 1] >= 0).all() and (values[200:, :, 1] <= 1).all()


def test_values_stand_between_refits(walk_panel):
    values = MADE[3].compute(walk_panel, resolve_device("cpu"))
    known = np.flatnonzero(np.isfinite(values[:, 0, 0]))
    moved = known[1:][np.diff(values[known, 0, 0]) != 0]
    assert (moved % 3 == 0).all() and len(moved) > 100


@pytest.mark.parametrize(
    "make",
    [
        lambda: features.Momentum(window=0),
        lambda: features.Momentum(window=2.5),
        lambda: features.RealizedVolatility(window=1),
        lambda: features.RuleReturns(window=True),
        lambda: features.Momentum(window=(5, 0)),
        lambda: features.Alpha158(windows=(1,)),
        lambda: features.BollingerBands(window=1),
        lambda: features.SimulatedOptions(window=10),
        lambda: features.SimulatedOptions(level=1.2),
        lambda: features.SimulatedOptions(model=gq.models.Merton),
    ],
)
def test_bad_parameters_are_named(make):
    with pytest.raises(InputError, match=r"window|level|model"):
        make()


def test_a_frame_of_the_users_is_a_feature(walk_panel):
    own = pd.DataFrame(1.0, index=walk_panel.to_frame().index[::2], columns=list(walk_panel.assets))
    strategy = gq.Strategy(
        features=[own], learner=learn.Learner(learn.networks.MLP()), sizing=sizing.Equal()
    )
    values = strategy.compute(walk_panel, resolve_device("cpu"))
    assert values.shape == (900, 6, 1) and np.isnan(values[1]).all() and (values[2] == 1).all()


def test_ranks_scores_and_residuals_by_pandas(bars):
    device, inner = resolve_device("cpu"), features.Momentum()
    raw = pd.DataFrame(inner.compute(bars, device)[..., 0], columns=list(bars.assets))
    raw.iloc[100:110, 3] = raw.iloc[100:110, 4]  # equal ones
    raw.iloc[200:210, 1] = np.nan

    class Given(features.Momentum):
        abstract = True

        def compute(self, panel, device):
            return raw.to_numpy()[..., None]

    known = raw.notna().sum(axis=1)
    rank = (raw.rank(axis=1).sub(0.5)).div(known, axis=0) - 0.5
    np.testing.assert_allclose(features.Rank(Given()).compute(bars, device)[..., 0], rank)
    score = raw.sub(raw.mean(axis=1), axis=0).div(raw.std(axis=1, ddof=0), axis=0)
    np.testing.assert_allclose(features.ZScore(Given()).compute(bars, device)[..., 0], score)
    groups = dict(zip("ABCDEF", "xyxyxz", strict=True))
    means = raw.T.groupby(groups).transform("mean").T
    residual = features.Neutralized(Given(), by=groups).compute(bars, device)[..., 0]
    np.testing.assert_allclose(residual, raw - means, atol=1e-15)
    exposure = features.Beta()
    residual = features.Neutralized(inner, by=exposure).compute(bars, device)[300, :, 0]
    x = np.stack([np.ones(6), exposure.compute(bars, device)[300, :, 0]], axis=1)
    y = inner.compute(bars, device)[300, :, 0]
    np.testing.assert_allclose(residual, y - x @ np.linalg.lstsq(x, y, rcond=None)[0], atol=1e-12)


def test_alpha158_by_its_formulas(bars):
    """Every column against pandas, by the text of qlib's expressions."""
    j, n = 2, 20
    feature = features.Alpha158(windows=(n,))
    ours = pd.DataFrame(
        feature.compute(bars, resolve_device("cpu"))[:, j], columns=list(feature.columns)
    )
    o, h, low, c, v = (
        pd.Series(getattr(bars, f)[:, j]) for f in ("open", "high", "low", "close", "volume")
    )
    r, before, top, bottom = c.rolling(n), c.shift(1), np.maximum(o, c), np.minimum(o, c)
    rows = pd.Series(np.arange(float(len(c))))
    slope = rows.rolling(n).cov(c) / rows.rolling(n).var()
    up, down = (c - before).clip(lower=0), (before - c).clip(lower=0)
    rise, fall = v.diff().clip(lower=0), (-v.diff()).clip(lower=0)
    weighted = (c / before - 1).abs() * v
    highest = h.rolling(n).apply(lambda x: x.argmax() + 1, raw=True)
    lowest = low.rolling(n).apply(lambda x: x.argmin() + 1, raw=True)
    moved, flow = c.diff().abs().rolling(n).sum(), v.diff().abs().rolling(n).sum()
    mean = lambda x: x.rolling(n).mean()  # noqa: E731
    ups = mean((c > before).where(before.notna()).astype(float))
    downs = mean((c < before).where(before.notna()).astype(float))
    theirs = {
        "KMID": (c - o) / o, "KLEN": (h - low) / o, "KMID2": (c - o) / (h - low),
        "KUP": (h - top) / o, "KUP2": (h - top) / (h - low), "KLOW": (bottom - low) / o,
        "KLOW2": (bottom - low) / (h - low), "KSFT": (2 * c - h - low) / o,
        "KSFT2": (2 * c - h - low) / (h - low), "OPEN0": o / c, "HIGH0": h / c, "LOW0": low / c,
        "ROC20": c.shift(n) / c, "MA20": r.mean() / c, "STD20": r.std() / c, "BETA20": slope / c,
        "RSQR20": rows.rolling(n).corr(c) ** 2,
        "RESI20": (c - (r.mean() + slope * (n - 1) / 2)) / c,
        "MAX20": h.rolling(n).max() / c, "MIN20": low.rolling(n).min() / c,
        "QTLU20": r.quantile(0.8) / c, "QTLD20": r.quantile(0.2) / c, "RANK20": r.rank(pct=True),
        "RSV20": (c - low.rolling(n).min()) / (h.rolling(n).max() - low.rolling(n).min()),
        "IMAX20": highest / n, "IMIN20": lowest / n, "IMXD20": (highest - lowest) / n,
        "CORR20": r.corr(np.log(v + 1)),
        "CORD20": (c / before).rolling(n).corr(np.log(v / v.shift(1) + 1)),
        "CNTP20": ups, "CNTN20": downs, "CNTD20": ups - downs,
        "SUMP20": up.rolling(n).sum() / moved, "SUMN20": down.rolling(n).sum() / moved,
        "SUMD20": (up.rolling(n).sum() - down.rolling(n).sum()) / moved,
        "VMA20": mean(v) / v, "VSTD20": v.rolling(n).std() / v,
        "WVMA20": weighted.rolling(n).std() / mean(weighted),
        "VSUMP20": rise.rolling(n).sum() / flow, "VSUMN20": fall.rolling(n).sum() / flow,
        "VSUMD20": (rise.rolling(n).sum() - fall.rolling(n).sum()) / flow,
    }  # fmt: skip
    assert list(theirs) == list(feature.columns)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-7, atol=1e-9, err_msg=name)
    assert len(features.Alpha158().columns) == 157  # without VWAP0


def test_a_field_that_is_missing_is_named(walk_panel):
    with pytest.raises(DataError, match="Parkinson needs the field 'high'"):
        features.Parkinson().compute(walk_panel, resolve_device("cpu"))
