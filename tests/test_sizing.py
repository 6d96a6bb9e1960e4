"""Sizing by forecast and uncertainty."""

import numpy as np
import pytest

from gpuquant import sizing
from gpuquant.errors import InputError
from gpuquant.forecast import conformal_widths

DEVIATIONS = np.array([0.01, 0.02, 0.01, 0.02])


def planted(slope, bars=1500, horizon=1, seed=0):
    """Forecasts that keep for the horizon, and closes whose return two bars on rests on them."""
    draw = np.random.default_rng(seed)
    forecast = np.repeat(draw.normal(size=(bars // horizon + 1, 4)), horizon, axis=0)[:bars]
    moves = draw.normal(size=(bars, 4)) * DEVIATIONS
    moves[2:] += slope * forecast[:-2]
    return forecast, np.cumprod(1.0 + moves, axis=0)


def test_weight_is_kellys():
    forecast, close = planted(0.003)
    one = sizing.Conformal(fraction=0.01, max_gross=100.0, window=1000)
    weights = one.size(forecast, close)[1200:]
    each = (weights * forecast[1200:]).sum(axis=0) / (forecast[1200:] ** 2).sum(axis=0)
    expected = 0.01 * 0.003 / DEVIATIONS**2
    # a slope from 1000 bars of 4 assets has an error of 8 %, the square of a width 8 %
    np.testing.assert_allclose(each, expected, rtol=0.3)
    assert each[0] / each[1] == pytest.approx(4.0, rel=0.25)


def test_what_is_of_no_use_is_not_held():
    one = sizing.Conformal(fraction=0.01, max_gross=100.0)
    useful, useless = (
        np.nanmean(np.abs(one.size(*planted(slope, seed=3)))[300:]) for slope in (0.001, 0.0)
    )
    assert useless < 0.25 * useful, (useless, useful)
    harmful = one.size(*planted(-0.003))
    assert (harmful[300:] == 0.0).all()  # nobody trades against a forecast that errs


@pytest.mark.parametrize("horizon", [1, 5])
def test_no_bar_knows_a_later_close(horizon):
    forecast, close = planted(0.001, bars=400, horizon=horizon)
    one = sizing.Conformal(horizon=horizon, window=100)
    before = one.size(forecast, close)
    moved = close.copy()
    moved[300:] *= 1.0 + 0.1 * np.random.default_rng(1).random(moved[300:].shape)
    after = one.size(forecast, moved)
    np.testing.assert_array_equal(before[:300], after[:300])
    assert (before[303:] != after[303:]).any()
    assert np.abs(before).sum(axis=1).max() <= 1.0 + 1e-12


def test_gaps_cost_their_asset_alone():
    forecast, close = planted(0.001, bars=400)
    forecast[350, 1], close[200:220, 2] = np.nan, np.nan
    weights = sizing.Conformal(window=100).size(forecast, close)
    assert np.isnan(weights[350, 1]) and np.isfinite(weights[350, [0, 2, 3]]).all()
    assert np.isfinite(weights[200:220, 2]).all()


def test_widths_by_asset_are_those_of_each():
    draw = np.random.default_rng(0)
    forecast, earned = draw.normal(size=(80, 3)), draw.normal(size=(80, 3))
    earned[20:30, 1] = np.nan
    both = conformal_widths(forecast, earned, 3, window=40, by_asset=True)
    for k in range(3):
        own = slice(k, k + 1)
        alone = conformal_widths(forecast[:, own], earned[:, own], 3, window=40)
        np.testing.assert_array_equal(both[:, k], alone)


@pytest.mark.parametrize(
    ("name", "value"),
    [("fraction", 0.0), ("max_gross", -1.0), ("level", 2.0), ("horizon", 0), ("window", 1)],
)
def test_bad_settings_are_named(name, value):
    with pytest.raises(InputError, match=f"Conformal {name} = {value}"):
        sizing.Conformal(**{name: value})


def test_a_width_that_no_window_has_is_named():
    with pytest.raises(InputError, match="takes more of them"):
        sizing.Conformal(level=0.9, window=5)
    assert sizing.Conformal(level=0.9, window=9).window == 9
