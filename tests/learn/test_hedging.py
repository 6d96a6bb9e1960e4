"""Deep hedging against delta hedging, and surrogates against closed forms."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

import gpuquant as gq
from gpuquant import learn
from gpuquant.errors import DataError, InputError
from gpuquant.learn import losses

CALL = gq.payoffs.European(option_type="call", strike=100.0, maturity=0.25)
MODEL = gq.models.BlackScholes(spot=100.0, volatility=0.2, rate=0.03)
QUICK = learn.TrainingConfig(steps=200, batch_windows=2048, learning_rate=1e-2, weight_decay=0.0)


def simulated(seed, paths=20_000, steps=10):
    return gq.simulate(CALL, MODEL, paths=paths, steps=steps, seed=seed)


def delta_hedged(paths, cost):
    """Profits of holding Black's delta."""
    left, spots = 0.25 - paths.times[:-1], paths.spots[:, :-1]
    d1 = (np.log(spots / 100.0) + (0.03 + 0.02) * left) / (0.2 * np.sqrt(left))
    held = norm.cdf(d1)
    traded = np.abs(np.diff(held, axis=1, prepend=0.0))
    worth = paths.spots * paths.discounts
    costs = (traded * worth[:, :-1]).sum(axis=1) + held[:, -1] * worth[:, -1]
    return (held * paths.gains).sum(axis=1) - paths.payments - cost * costs


def risk(profit):
    return np.log(np.exp(-profit).mean())


def test_with_costs_it_is_better_than_delta_and_without_as_good():
    train, test = simulated(0), simulated(1)
    for cost, least in ((0.0, -0.03), (0.005, 0.1)):
        hedge = learn.DeepHedger(cost=cost, training=QUICK).fit(train)
        profit = hedge.profit(test)
        delta = delta_hedged(test, cost)
        assert risk(profit) < risk(delta) - least, (cost, risk(profit), risk(delta))
        assert hedge.premium(test) == pytest.approx(risk(profit), rel=1e-9)
        # no arbitrage: hedging earns nothing in the mean but its costs
        earned = profit + test.payments
        assert earned.mean() < 4.0 * earned.std() / np.sqrt(len(earned))
    held = hedge.positions(test)
    assert held.shape == (20_000, 10) and 0.2 < held.mean() < 0.8


def test_a_hedge_knows_no_later_price():
    train = simulated(0, paths=4000)
    few = learn.TrainingConfig(steps=20, batch_windows=512, weight_decay=0.0)
    hedge = learn.DeepHedger(cost=0.001, training=few).fit(train)
    again = learn.DeepHedger(cost=0.001, training=few).fit(train)
    first = hedge.positions(train)
    np.testing.assert_array_equal(first, again.positions(train))
    spots = train.spots.copy()
    spots[:, 6:] *= 1.5
    moved = type(train)(train.times, spots, train.payments, train.discounts, train.carry)
    second = hedge.positions(moved)
    np.testing.assert_array_equal(first[:, :6], second[:, :6])
    assert (first[:, 6:] != second[:, 6:]).all()


def test_further_features_and_several_assets():
    basket = gq.payoffs.Basket(option_type="call", strike=80.0, maturity=1.0, weights=[[0.5, 0.5]])
    model = gq.models.MultiBlackScholes(
        spots=[[100.0, 60.0]], volatilities=[[0.2, 0.3]], correlation=0.5, rate=0.0
    )
    paths = gq.simulate(basket, model, paths=8000, steps=5)

    def running_high(paths):
        return np.maximum.accumulate(paths.spots, axis=1)[:, :-1] / paths.spots[:, :1]

    hedger = learn.DeepHedger(
        learn.networks.MLP(hidden=16, outputs=2),
        loss=losses.ExpectedShortfall(level=0.5),
        features=running_high,
        training=QUICK,
    )
    hedge = hedger.fit(paths)
    assert hedge.positions(paths).shape == (8000, 5, 2)
    assert hedge.profit(paths).std() < 0.6 * paths.payments.std()
    with pytest.raises(DataError, match="path 3, step 2, column 1 is nan"):
        bad = running_high(paths)
        bad[3, 2, 1] = np.nan
        hedger.set_params(features=lambda _: bad).fit(paths)
    with pytest.raises(DataError, match=r"features have shape \(8000, 6, 2\): must be \(8000, 5,"):
        hedger.set_params(features=lambda paths: paths.spots).fit(paths)


def test_wrong_calls_are_named():
    train = simulated(0, paths=500, steps=3)
    few = learn.TrainingConfig(steps=2, batch_windows=64)
    for how, words in (
        ({"loss": losses.MSE()}, "must be of profits"),
        ({"loss": losses.Entropic(cost=0.1)}, r"whose costs are DeepHedger\(cost=\)"),
        ({"network": 3}, "DeepHedger network = int: must be an nn.Module"),
        ({"network": learn.networks.CrossSection()}, "CrossSection: must see one row at a time"),
        ({"training": learn.TrainingConfig(validation=0.2)}, "validation = 0.2: must be 0"),
    ):
        with pytest.raises(InputError, match=words):
            learn.DeepHedger(**how)
    with pytest.raises(InputError, match=r"outputs of shape \(3, 2\) .*: must be \(3, 1\)"):
        learn.DeepHedger(learn.networks.MLP(outputs=2), training=few).fit(train)
    with pytest.raises(InputError, match="paths = ndarray: must be of"):
        learn.DeepHedger(training=few).fit(train.spots)
    hedge = learn.DeepHedger(loss=losses.Sharpe(), training=few).fit(train)
    assert np.isfinite(hedge.profit(train)).all()
    with pytest.raises(InputError, match="has no premium"):
        hedge.premium(train)
    train.payments[7] = np.nan
    for loss in (losses.Entropic(), losses.ExpectedShortfall()):
        with pytest.raises(DataError, match="payments: path 7 is nan: must be finite"):
            learn.DeepHedger(loss=loss, training=few).fit(train)
    with pytest.raises(InputError, match="Surrogate network = CrossSection"):
        learn.Surrogate(network=learn.networks.CrossSection())
    with pytest.raises(InputError, match=r"outputs of shape \(3, 2\) .*: must be \(3,\)"):
        learn.Surrogate(learn.networks.MLP(outputs=2), training=few).fit([[1.0], [2.0]], [1.0, 2.0])


def test_a_loss_that_is_not_finite_is_seen():
    mask = torch.ones(4, dtype=torch.bool)
    for bad in (np.nan, -np.inf):
        profit = torch.tensor([bad, 1.0, 2.0, 3.0])
        assert not torch.isfinite(losses.ExpectedShortfall(level=0.5).of(profit, mask))
    many = torch.arange(100_000, dtype=torch.float64)
    worst = losses.ExpectedShortfall(level=0.999).of(many, torch.ones(100_000, dtype=torch.bool))
    assert float(worst) == -49.5  # of a hundred


def test_the_default_holds_every_asset():
    basket = gq.payoffs.Basket(option_type="call", strike=80.0, maturity=1.0, weights=[[0.5, 0.5]])
    model = gq.models.MultiBlackScholes(
        spots=[[100.0, 60.0]], volatilities=[[0.2, 0.3]], correlation=0.5, rate=0.0
    )
    paths = gq.simulate(basket, model, paths=500, steps=3)
    few = learn.TrainingConfig(steps=2, batch_windows=64)
    assert learn.DeepHedger(training=few).fit(paths).positions(paths).shape == (500, 3, 2)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (losses.Entropic(risk_aversion=2.0), lambda p: np.log(np.exp(-2.0 * p).mean()) / 2.0),
        (losses.ExpectedShortfall(level=0.75), lambda p: -np.sort(p)[:25].mean()),
        (losses.Sharpe(), lambda p: -p.mean() / p.std()),
    ],
    ids=lambda v: type(v).__name__,
)
def test_losses_of_profits(loss, expected):
    profit = np.random.default_rng(0).normal(0.1, 1.0, 160)
    mask = np.arange(160) % 8 < 5
    found = loss.of(torch.from_numpy(profit), torch.from_numpy(mask))
    assert float(found) == pytest.approx(expected(profit[mask]), rel=1e-6)


@pytest.mark.parametrize("loss", [losses.Entropic(risk_aversion=50.0), losses.ExpectedShortfall()])
def test_a_panel_trains_on_a_utility(loss):
    draw = np.random.default_rng(0)
    x = draw.normal(size=(500, 10, 1))
    samples = learn.Samples(x, 0.01 * (x[..., 0] + draw.normal(size=(500, 10))))
    learner = learn.Learner(learn.networks.MLP(hidden=8), loss=loss, ensemble=2, training=QUICK)
    forecast = learner.predict(learner.fit(samples, np.arange(400)), samples, np.arange(400, 500))
    assert np.corrcoef(forecast.ravel(), x[400:].ravel())[0, 1] > 0.6


def one_path_samples(count, seed):
    spot = np.random.default_rng(seed).uniform(70.0, 130.0, count)
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    model = gq.models.BlackScholes(spot=spot, volatility=0.2, rate=0.0)
    made = gq.price(call, model, engine="monte_carlo", paths=1, greeks=True, seed=seed)
    return spot[:, None], made.price, made.delta[:, None]


def exact(spot):
    call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
    made = gq.price(call, gq.models.BlackScholes(spot=spot, volatility=0.2, rate=0.0), greeks=True)
    return made.price, made.delta


def test_derivatives_teach_more_than_eight_times_the_samples():
    grid = np.linspace(75.0, 125.0, 101)
    price, delta = exact(grid)
    errors = {}
    for count, told in ((1024, True), (8192, False)):
        each = []
        for seed in range(1):
            x, y, slopes = one_path_samples(count, seed)
            fitted = learn.Surrogate(seed=seed).fit(x, y, slopes if told else None)
            found = fitted.predict(grid[:, None])
            each.append(
                [
                    np.sqrt(np.mean((found[0] - price) ** 2)),
                    np.sqrt(np.mean((found[1][:, 0] - delta) ** 2)),
                ]
            )
        errors[told] = np.mean(each, axis=0)
    assert errors[True][1] < errors[False][1], errors
    assert errors[True][0] < 1.0, errors  # of prices from 0 to 26


def test_a_surrogate_of_several_columns():
    """A smooth function without noise; one derivative is not known."""
    draw = np.random.default_rng(0)
    x = draw.uniform(-1.0, 1.0, (2000, 2)) * [1.0, 1000.0] + [0.0, 5000.0]
    scaled = (x[:, 1] - 5000.0) / 1000.0
    y = 3.0 + 10.0 * np.sin(2.0 * x[:, 0]) * scaled
    slopes = np.column_stack([20.0 * np.cos(2.0 * x[:, 0]) * scaled, np.full(len(x), np.nan)])
    fitted = learn.Surrogate().fit(x, y, slopes)
    value, slope = fitted.predict(x[:200])
    assert np.sqrt(np.mean((value - y[:200]) ** 2)) < 0.03 * y.std()
    assert np.sqrt(np.mean((slope[:, 0] - slopes[:200, 0]) ** 2)) < 0.08 * slopes[:, 0].std()
    truth = 10.0 * np.sin(2.0 * x[:200, 0]) / 1000.0
    assert np.sqrt(np.mean((slope[:, 1] - truth) ** 2)) < 0.1 * truth.std()


@pytest.mark.parametrize(
    ("x", "y", "slopes", "words"),
    [
        ([[1.0], [np.nan]], [1.0, 2.0], None, r"x\[1, 0\] = nan: must be finite"),
        ([[1.0], [2.0]], [1.0, np.inf], None, r"y\[1\] = inf: must be finite"),
        ([[1.0], [2.0]], [1.0], None, r"y has shape \(1,\): must be \(2,\)"),
        ([1.0, 2.0], [1.0, 2.0], None, r"x has shape \(2,\): must have 2 axes"),
        ([[1.0], [2.0]], [1.0, 2.0], [[1.0], [np.nan]], r"derivatives\[1, 0\] = nan: a column"),
        ([[1.0], [2.0]], [1.0, 2.0], [1.0, 2.0], r"derivatives has shape \(2,\)"),
        ([[1.0], [2.0]], [1.0, 2.0], [[np.inf], [np.inf]], r"derivatives\[0, 0\] = inf"),
    ],
)
def test_bad_samples_are_named(x, y, slopes, words):
    with pytest.raises(DataError, match=words):
        learn.Surrogate().fit(x, y, slopes)
