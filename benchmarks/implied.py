"""How long do 20,000 implied volatilities take, beside fast-vollib?"""

from __future__ import annotations

from functools import partial

import numpy as np

import gpuquant as gq
from benchmarks.common import Row, ratio
from benchmarks.europeans import COLUMNS, ROWS, TURNS, ours, repeated

USEFUL = 1e-6  # of vega over spot: from here on a price carries nine digits of its volatility


def run() -> list[Row]:
    """Both are checked against the volatilities that the prices were made with, then timed from
    arrays, words and all.
    """
    from fast_vollib import fast_implied_volatility

    prices = ours()
    names = ("spot", "strike", "maturity", "rate", "dividend_yield")
    s, x, t, r, q = (COLUMNS[name] for name in names)
    words = np.where(COLUMNS["sign"] > 0, "call", "put")
    flags = np.where(COLUMNS["sign"] > 0, "c", "p")
    true = COLUMNS["volatility"]

    def mine() -> np.ndarray:
        how = {name: COLUMNS[name] for name in names}
        return gq.implied_volatility(price=prices, option_type=words, device="cpu:2", **how)

    def theirs(backend: str) -> np.ndarray:
        how = {"model": "black_scholes_merton", "return_as": "numpy", "backend": backend}
        return np.asarray(fast_implied_volatility(prices, s, x, t, r, flags, q=q, **how))

    deviation = true * np.sqrt(t)
    d1 = (np.log(s / x) + (r - q) * t) / deviation + 0.5 * deviation
    useful = np.exp(-q * t - 0.5 * d1 * d1) * np.sqrt(t / (2.0 * np.pi)) > USEFUL
    np.testing.assert_allclose(mine()[useful], true[useful], rtol=1e-7)
    worst = np.abs(mine() / true - 1.0)[useful]
    rows = []
    for backend in ("numba", "numpy"):
        far = np.abs(theirs(backend) / true - 1.0)[useful]
        value, fast, slow = ratio(
            partial(repeated, mine),
            partial(repeated, partial(theirs, backend)),
            9,
            TURNS * ROWS,
            TURNS * ROWS,
        )
        rows.append(
            Row(
                f"20,000 implied volatilities, against fast-vollib on {backend}",
                value,
                "x",
                2.0,
                True,
                f"{fast / 1e6:.2f} against {slow / 1e6:.2f} M a second; errors at 99 %: "
                f"{np.quantile(worst, 0.99):.1g} and {np.quantile(far, 0.99):.1g}",
            )
        )
    return rows
