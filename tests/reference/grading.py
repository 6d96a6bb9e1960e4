"""How well the library prices the reference cases, family by family: for the tests and for
docs/accuracy.md.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import gpuquant as gq
from tests.reference.rows import CASES, column, to_row

CEILING = 5e-3, 1e-3  # of a simulation's standard error: relative and absolute
AIMED = 0.25  # of the ceiling
ERRORS = 4.0  # that a simulation may be off: of a hundred cases one may be off by three by chance


@dataclass
class Grade:
    """What became of one family.

    Parameters
    ----------
    cases, passed : int
    engines : Counter
        Rows by engine.
    lost : list of (dict, str)
        The cases that failed, each with its reason.
    """

    cases: int = 0
    passed: int = 0
    engines: Counter = field(default_factory=Counter)
    lost: list = field(default_factory=list)


def families():
    """The cases by family, in their order."""
    found = {}
    for case in CASES:
        found.setdefault(case["family"], []).append(case)
    return found


def verdict(case, row):
    """Why a priced case fails, or nothing."""
    name = column(case)
    if name is None:
        return f"no result column for {case['measure']}"
    if row["status"] == "failed":
        return row["message"]
    error = row["std_error"] if name == "price" else row[f"{name}_std_error"]
    if error > max(CEILING[0] * abs(row["price"]), CEILING[1]):
        return f"standard error {error:.2g} is above {CEILING[0]} of the price and {CEILING[1]}"
    if case["reference_kind"] == "approximation":
        return "the case holds an approximation's value, which grades no price"
    scale = row["spot"] / row["price"] if case["measure"] == "elasticity" else 1.0
    off = scale * row[name] - case["expected"]
    if not abs(off) <= max(ERRORS * error, case["tolerance"]):
        return (
            f"{row['engine']} gives {row[name]:.10g}, the case {case['expected']:.10g} +- "
            f"{case['tolerance']:.2g}"
        )
    return ""


def of_prices(cases):
    """The grade of cases that hand over a price, and ask for its volatility."""
    given = [case["payoff_params"] for case in cases]
    found = gq.implied_volatility(
        price=[one["undiscounted_price"] for one in given],
        option_type=[one["type"] for one in given],
        spot=[one["forward"] for one in given],
        strike=[case["K"] for case in cases],
        maturity=[case["T"] for case in cases],
        rate=0.0,
    )
    out = Grade(cases=len(cases), engines=Counter({"implied_volatility": len(cases)}))
    for case, mine in zip(cases, found, strict=True):
        near = abs(mine - case["expected"]) <= case["tolerance"]
        out.passed += int(near)
        out.lost += [] if near else [(case, f"{mine!r} is not {case['expected']!r}")]
    return out


def grade(cases):
    """The grade of these cases, priced in one frame."""
    if all("undiscounted_price" in case["payoff_params"] for case in cases):
        return of_prices(cases)
    frame = pd.DataFrame([to_row(case) for case in cases])
    out = Grade(cases=len(cases))
    try:
        wanted = sorted({column(case) for case in cases} - {"price", None})
        goal = [AIMED * max(CEILING[0] * abs(case["expected"]), CEILING[1]) for case in cases]
        priced = gq.price(frame, target_error=goal, greeks=wanted).frame
    except (
        gq.errors.GpuquantError
    ) as failure:  # a column that no member has: the product is not there
        out.lost = [(case, str(failure)) for case in cases]
        return out
    out.engines = Counter(priced["engine"].replace("", "none"))
    for case, (_, row) in zip(cases, priced.iterrows(), strict=True):
        reason = verdict(case, row)
        out.passed += not reason
        if reason:
            out.lost.append((case, reason))
    assert np.isfinite(priced["price"]).sum() >= out.passed
    return out
