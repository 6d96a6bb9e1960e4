"""One row is one row: random rows, most of them nonsense, beside good ones; shapes, overflows,
memory and foreign errors of one reach no other.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.data.columns import domains
from gpuquant.errors import GpuquantError, TooLarge
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.contracts import Contracts
from gpuquant.pricing.isolate import isolate
from gpuquant.pricing.schema import models, payoffs

GOOD = {
    "product": "european",
    "model": "black_scholes",
    "option_type": "call",
    "strike": 100.0,
    "maturity": 1.0,
    "spot": 100.0,
    "rate": 0.02,
    "volatility": 0.2,
}
RIGHT = 8.916037278572537
ODD = [
    0,
    -1,
    1,
    2,
    1e300,
    -1e300,
    1e-300,
    1e18,
    np.nan,
    np.inf,
    -np.inf,
    2**31,
    2**63 - 1,
    10**25,
    None,
    "",
    "1OO",
    "call",
    "1e5",
    [1.0],
    [],
    [1.0, None],
    [0.5, "x"],
    [[1.0]],
    [1.0] * 40,
    True,
    "2024-01-02",
]


def random_row(draw):
    """A row of any product under any model: most columns inside their domains, some odd."""
    payoff, model = (
        list(table().values())[draw.integers(len(table()))] for table in (payoffs, models)
    )
    if "tests" in payoff.__module__ or "tests" in model.__module__ or "own" in payoff.__module__:
        payoff, model = gq.payoffs.European, gq.models.BlackScholes
    row = {"product": payoff.__name__, "model": model.__name__}
    for name, domain in {**domains(payoff), **domains(model)}.items():
        if draw.random() < 0.15:
            row[name] = ODD[draw.integers(len(ODD))]
        elif draw.random() < 0.9 and not domain.derived:
            if domain.words:
                row[name] = str(draw.choice(domain.words))
            elif domain.listed:
                row[name] = np.sort(
                    domain.sample * draw.uniform(0.5, 1.5, draw.integers(1, 4))
                ).tolist()
            else:
                row[name] = (
                    float(domain.sample) * float(np.exp(draw.normal(0.0, 0.7)))
                    if draw.random() < 0.8
                    else float(domain.sample)
                )
    if draw.random() < 0.1:
        row["model"] = draw.choice(["heston", "", "nonsense"])
    return row


def random_book(seed, count):
    draw = np.random.default_rng(seed)
    rows = [GOOD if k % 10 == 0 else random_row(draw) for k in range(count)]
    return pd.DataFrame([{"id": k, **row} for k, row in enumerate(rows)])


@pytest.mark.parametrize("books", [4, pytest.param(1000, marks=pytest.mark.slow)])
def test_random_rows_end_as_a_price_or_a_reason_and_harm_no_other(books):
    """Books of 100 rows each, every tenth of them good."""
    for seed in range(books):
        frame = random_book(seed, 100)
        found = gq.price(frame, paths=64, steps=8, device="cpu:2", progress=False).frame
        good = found.iloc[::10]
        assert (good["status"] == "ok").all(), good
        np.testing.assert_allclose(good["price"], RIGHT, rtol=1e-12)
        failed = found["status"] == "failed"
        assert (found.loc[failed, "message"] != "").all()
        assert np.isfinite(found.loc[~failed, "price"].to_numpy(float)).all()
        priced = np.flatnonzero(~failed)
        for k in priced[
            np.random.default_rng(seed).permutation(len(priced))[:3]
        ]:  # alone it is what it is in company
            alone = gq.price(
                frame.iloc[[k]], paths=64, steps=8, device="cpu:2", progress=False
            ).frame
            assert alone["price"].iloc[0] == found["price"].iloc[k], (
                frame.iloc[k].dropna().to_dict(),
                alone.iloc[0],
                found.iloc[k],
            )


def test_a_foreign_error_of_one_row_is_its_own():
    @dataclass(frozen=True)
    class Fragile(gq.payoffs.European):
        """A European whose author did not think of strikes above 150."""

        @staticmethod
        def warn(p):
            if (p.strike > 150.0).any():
                raise ZeroDivisionError("not thought of")

    try:
        frame = pd.DataFrame(
            [
                {**GOOD, "product": "fragile", "strike": strike}
                for strike in (100.0, 200.0, 100.0, 160.0, 100.0)
            ]
        )
        found = gq.price(frame).frame
        assert found["status"].tolist() == ["ok", "failed", "ok", "failed", "ok"]
        assert found["message"][1] == "it cannot be priced: ZeroDivisionError: not thought of"
        np.testing.assert_allclose(found["price"][[0, 2, 4]], RIGHT, rtol=1e-12)
        with pytest.raises(
            ZeroDivisionError
        ):  # one payoff is the caller's own call: the error is theirs to see
            gq.price(
                Fragile(option_type="call", strike=200.0, maturity=1.0),
                gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2),
            )
    finally:
        del Fragile
        assert Payoff.__subclasses__() is not None


def test_what_every_row_needs_together_is_bounded():
    """One list of 100,000 numbers beside 5,000 short ones: a table of all of them would take 4
    GB.
    """
    rows = [
        {**GOOD, "model": "dividend_black_scholes", "dividend_times": [0.5], "dividends": [1.0]}
        for _ in range(5000)
    ]
    long = {
        **rows[0],
        "dividend_times": np.linspace(0.001, 0.999, 100_000).tolist(),
        "dividends": [1e-6] * 100_000,
    }
    found = gq.price(pd.DataFrame([*rows, long]), progress=False).frame
    assert (found["status"][:5000] == "ok").all()
    assert found["status"][5000] in ("ok", "warning") or found["message"][5000]
    book = Contracts.from_frame(pd.DataFrame([*rows, long]))
    with pytest.raises(TooLarge, match="5001 rows of up to 100000 numbers"):
        book.lists("dividends", np.arange(5001))


def test_work_is_halved_down_to_the_rows_that_fail():
    done, lost = [], {}

    def work(rows):
        if {3, 77} & set(rows.tolist()):
            raise MemoryError("too much")
        done.extend(rows.tolist())

    isolate(work, np.arange(100), lambda row, why: lost.__setitem__(row, why))
    assert sorted(done) == sorted(set(range(100)) - {3, 77})
    assert lost == dict.fromkeys((3, 77), "it needs more memory than there is: too much")


def test_ctrl_c_is_no_failure_of_a_row():
    def work(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        isolate(work, np.arange(4), lambda row, why: pytest.fail("it was taken for one"))


def test_a_column_of_another_kind_is_an_error_of_the_book():
    with pytest.raises(GpuquantError, match="must be numbers"):
        gq.price(pd.DataFrame([GOOD] * 3).assign(strike=pd.Timestamp("2024-01-02")))
