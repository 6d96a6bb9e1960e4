"""What a member's Python means once it is compiled: each function is run by Python and by the
library.
"""

import itertools
import re
from dataclasses import dataclass

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.data.domains import Column, positive
from gpuquant.payoffs.base import Payoff
from gpuquant.rules.base import Rule
from tests import twin


def negative_index_of_a_tuple(p, i, acc, log_spots):
    weights = (1.0, 10.0, 100.0)
    total = 0.0
    for j in range(3):
        total = total + weights[j - 2]
    return total


def index_beyond_a_tuple(p, i, acc, log_spots):
    weights = (1.0, 10.0, 100.0)
    total = 0.0
    for j in range(4):
        total = total + weights[j]
    return total


def name_of_a_loop_that_makes_no_turn(p, i, acc, log_spots):
    for _ in range(0):
        y = 5.0
    return y


def name_given_in_a_loop(p, i, acc, log_spots):
    for j in range(3):
        y = 5.0 * j
    return y + j


def truth_as_a_number(p, i, acc, log_spots):
    a = 3.0 > 2.0
    return a * 2.0 + (1.0 > 2.0) + (not a) * 7.0


def loop_downwards(p, i, acc, log_spots):
    total = 0.0
    for j in range(5, 0, -2):
        total = total * 10.0 + j
    return total


def nan_and_extremes(p, i, acc, log_spots):
    n = 1e308 * 10.0 * 0.0
    return max(n, 3.0) + min(3.0, n)


def large_whole_number(p, i, acc, log_spots):
    x = 3000000000
    return x * x


def whole_number_divided(p, i, acc, log_spots):
    x = 1
    x = x / 3
    return x


def index_to_a_power(p, i, acc, log_spots):
    total = 0.0
    for j in range(4):
        total += j**2
    return total


CASES = (
    negative_index_of_a_tuple,
    index_beyond_a_tuple,
    name_of_a_loop_that_makes_no_turn,
    name_given_in_a_loop,
    truth_as_a_number,
    loop_downwards,
    nan_and_extremes,
    large_whole_number,
    whole_number_divided,
    index_to_a_power,
)


def price(function):
    made = dataclass(frozen=True)(
        type(
            function.__name__,
            (Payoff,),
            {
                "finish": staticmethod(function),
                "__doc__": "A case.",
                "__module__": __name__,
                "abstract": False,
            },
        )
    )
    model = gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2)
    return gq.price(
        made(maturity=1.0),
        model,
        paths=512,
        engine="monte_carlo",
        device="cpu:1",
        precision="double",
    )


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_a_function_means_what_python_means(function):
    try:
        right = function(None, 0, (0.0,), (4.6,))
    except Exception:
        right = None
    if right is None:
        found = price(function)
        assert np.isnan(found.price) and found.frame["status"][0] == "failed"
        assert re.search(
            r"asks for number 3 of 3 values|'y' is read before a line gives it a value",
            found.frame["message"][0],
        ), found.frame.T
    elif np.isnan(right):
        assert np.isnan(price(function).price)
    else:
        assert price(function).price == pytest.approx(float(right), rel=1e-15)


@dataclass(frozen=True)
class Weighted(Rule):
    """Long where the last three closes, the latest with the greatest weight, are above the one four
    bars ago.

    Parameters
    ----------
    edge : Column, shape (n,)
        By how much, as a share; > 0.
    """

    edge: Column = positive(sample=0.001)

    @staticmethod
    def begin(r, i):
        return (0.0, 0.0, 0.0), 4.0

    @staticmethod
    def decide(r, i, state, past, k):
        last = (past.close(2.0), past.close(1.0), past.close(0.0))
        total = 0.0
        for j in range(3):
            total = total + (j + 1) * last[j - 3]
        return (last[-1], last[0], last[1]), 1.0 if total / 6.0 > past.close(3.0) * (
            1.0 + r.edge[i]
        ) else 0.0


def test_a_rule_that_counts_from_the_end_trades_the_same_everywhere(walk_panel, monkeypatch):
    panel = gq.Panel.of(walk_panel.to_frame().iloc[:120, :1])
    twin.stand_in(monkeypatch)
    close, wanted = panel.close[:, 0], []
    for k in range(4, 120):  # the same in plain Python
        total = sum((j + 1) * close[k - 2 + j] for j in range(3))
        wanted.append(1.0 if total / 6.0 > close[k - 3] * 1.001 else 0.0)
    turns = sum(
        a != b for a, b in itertools.pairwise([0.0, *wanted[:-1]])
    )  # a wish at the last close is never due
    for device in ("cpu", "python", "cuda"):
        found = gq.backtest(panel, Weighted(edge=0.001), device=device)
        assert int(found.measures["orders"][0]) == turns > 10, device
