"""The 735 reference cases of the literature, through `gpuquant.price` on a frame."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from tests.reference.grading import families, grade
from tests.reference.rows import CASES, to_row

LATER = {  # families that hold what is not built yet
    "american_lsm_table": "early exercise",
    "american_vanilla": "early exercise",
    "american_max_call": "early exercise",
    "margrabe_exchange": "early exercise",
    "sabr_european": "volatilities of an expansion, which is not the model's price",
    "hull_white": "forward rates of futures",
    "credit_basket": "credit",
}
SIMULATED = (
    "asian_heston",
    "basket_option",
    "discrete_dividends",
    "asian_arithmetic_continuous",
    "asian_arithmetic_discrete",
    "variance_products",
)
KEPT = [name for name in families() if name not in LATER]


def test_the_cases_are_all_there():
    assert len(CASES) == 735 and len(families()) == 41
    assert len(KEPT) >= 34


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SIMULATED[:2] else name
        for name in KEPT
    ],
)
def test_every_case_of_a_family(family):
    found = grade(families()[family])
    assert found.passed == found.cases, "\n".join(
        f"{case['id']}: {reason}\n    {case}" for case, reason in found.lost
    )


def test_the_grades_in_the_docs_are_of_these_cases():
    kept = {
        row["family"]: row
        for row in json.loads(Path(__file__).with_name("grades.json").read_text())
    }
    assert {name: len(cases) for name, cases in families().items()} == {
        name: row["cases"] for name, row in kept.items()
    }
    assert [name for name, row in kept.items() if row["passed"] == row["cases"]] == KEPT, (
        "run `make docs`"
    )


def test_a_wrong_price_fails():
    """The mutant: a price off by more than the tolerance is not let through."""
    cases = [
        case | {"expected": case["expected"] + 2.0 * case["tolerance"]}
        for case in families()["heston_european"]
    ]
    assert grade(cases).passed < len(cases) // 2


PRICED = (
    "margrabe_exchange",
    "sabr_european",
    "hull_white",
)  # of these it is other results that are not there


@pytest.mark.parametrize("family", [name for name in LATER if name not in PRICED])
def test_what_is_not_built_is_a_status_and_never_a_wrong_price(family):
    """Rows of products, models or exercises that the library lacks fail by name; the row beside
    them is priced.
    """
    rows = [to_row(case) for case in families()[family]]
    known = {name for name, *_ in gq.pricing.schema.schema()}
    frame = pd.DataFrame([{k: v for k, v in row.items() if k in known} for row in rows])
    frame = pd.concat(
        [frame, pd.DataFrame([to_row(families()["european_bs"][0])])], ignore_index=True
    )
    priced = gq.price(frame, paths=2000).frame
    assert priced["status"].iloc[-1] == "ok"
    for _, row in priced.iloc[:-1].iterrows():
        assert row["status"] == "failed" and row["message"] and np.isnan(row["price"]), row
