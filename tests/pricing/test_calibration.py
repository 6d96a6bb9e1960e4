"""Errors that mean what they say: simulated prices against formulas, in units of their standard
errors.
"""

import numpy as np
import pytest
from scipy import stats

import gpuquant as gq
from gpuquant.data.columns import domains
from tests.contracts.test_members import EVERY
from tests.pricing.books import model, payoff

STEPS = {"Heston": 200, "Bates": 200}  # enough for a scheme's bias to drown in the errors


def scores(pair, n, paths, seed):
    """(simulated - formula) / standard error of `n` random rows of a pair; nothing where there
    is no formula.
    """
    rng = np.random.default_rng(seed)
    one, other = (
        model(pair[0], n, rng),
        payoff(pair[1], n, rng, *((0.92, 0.15) if "bond_maturities" in domains(pair[0]) else ())),
    )
    known = gq.price(other, one, engine="closed_form").price
    if not np.isfinite(known).any():
        known = gq.price(other, one, engine="fourier").price
    priced = np.isfinite(known)
    if not priced.any():
        return np.empty(0)
    found = gq.price(
        other,
        one,
        engine="monte_carlo",
        paths=paths,
        steps=STEPS.get(pair[0].__name__, 12),
        seed=seed,
    )
    sure = found.std_error < 1e-9  # a variance swap under a constant variance
    assert np.abs(found.price - known)[sure & priced].max(initial=0.0) < 1e-6
    rare = (
        np.minimum(known, found.price) < 25.0 * found.std_error
    )  # next to no path pays: such an error is not normal, whatever its size
    if "bond_maturities" in domains(
        pair[0]
    ):  # nor where next to every path pays: what is left is the error of its discount
        bonds = one.with_derived_columns()
        for end in (other.maturity, bonds.bond_maturities[:, 0]):
            rare |= (
                np.abs(found.price - bonds.discount_factor(bonds, end, np)) < 25.0 * found.std_error
            )
    return ((found.price - known) / np.where(sure, np.inf, found.std_error))[priced & ~sure & ~rare]


def calibrated(z):
    """Whether scores look standard normal: shape, mean and spread, none of them at odds below 1
    %, and no outlier.
    """
    mean = 2.0 * stats.norm.sf(abs(z.mean()) * np.sqrt(z.size))
    below = stats.chi2.cdf((z * z).sum(), z.size)
    spread = 2.0 * min(below, 1.0 - below)
    return min(stats.kstest(z, "norm").pvalue, mean, spread) > 0.01 and np.abs(z).max() < 5.0


WITHOUT = {
    "Autocallable",
    "VarianceOption",
    "VarianceSwap",
}  # no formula, or no error under a constant variance


@pytest.mark.parametrize(
    "pair", [p for p in EVERY if p[0].__name__ == "BlackScholes"], ids=lambda p: p[1].__name__
)
def test_a_formula_and_its_simulation_agree(pair):
    z = scores(pair, 24, 8192, 11)
    assert (z.size >= 6) != (pair[1].__name__ in WITHOUT), z
    assert np.abs(z).max(initial=0.0) < 4.5 and abs(z.sum()) < 4.0 * np.sqrt(max(z.size, 1)), z


@pytest.mark.slow
def test_errors_are_calibrated_over_ten_thousand_contracts():
    """And a bias of a fifth of an error, or an error 5 % too small, does not pass for
    calibrated.
    """
    with_formula = [pair for pair in EVERY if scores(pair, 4, 512, 1).size]
    each = -(-11_000 // len(with_formula))  # some are left out
    z = np.concatenate([scores(pair, each, 16_384, 100 + k) for k, pair in enumerate(with_formula)])
    assert z.size > 9_000
    assert calibrated(z), (z.mean(), z.std(), np.abs(z).max(), stats.kstest(z, "norm"))
    assert not calibrated(z + 0.2)
    assert not calibrated(z / 0.95)


def test_the_error_falls_with_the_root_of_the_paths():
    call = gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=4)
    flat = gq.models.BlackScholes(spot=100.0, rate=0.03, volatility=0.2)
    paths = [2**k for k in range(14, 21, 2)]  # with fewer a pilot knows no control
    errors = [gq.price(call, flat, paths=n).std_error for n in paths]
    slope = np.polyfit(np.log(paths), np.log(errors), 1)[0]
    assert abs(slope + 0.5) < 0.02, errors
