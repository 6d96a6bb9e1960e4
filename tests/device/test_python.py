"""`device="python"`: the same kernels run by Python, for a debugger; and what the other targets
refuse is refused here.
"""

import importlib
import sys
import textwrap

import numpy as np
import pytest

import gpuquant as gq

MEMBERS = '''
from dataclasses import dataclass

from gpuquant.data.domains import Column, positive
from gpuquant.payoffs.base import Payoff
from gpuquant.rules.base import Rule


@dataclass(frozen=True)
class Capped{name}(Payoff):
    """What the price gains, at most a cap.

    Parameters
    ----------
    strike, cap : Column, shape (n,)
        In currency units; > 0.
    """

    strike: Column = positive(sample=100.0)
    cap: Column = positive(sample=10.0)

    @staticmethod
    def finish(p, i, acc, log_spots):
        gain = math.exp(log_spots[0]) - p.strike[i]
        {line}
        return min(max(gain, 0.0), p.cap[i])


@dataclass(frozen=True)
class Dip{name}(Rule):
    """Buys what fell over some bars.

    Parameters
    ----------
    bars : Column, shape (n,)
        How many; > 0.
    """

    bars: Column = positive(sample=3.0)

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0

    @staticmethod
    def decide(r, i, state, past, k):
        change = past.close(0.0) - past.close(r.bars[i])
        return (change,), 1.0 if change < 0.0 else 0.0
'''
FLAT = gq.models.BlackScholes(spot=100.0, rate=0.01, volatility=0.3)


def members(folder, monkeypatch, name, line="pass"):
    """A module of the user's."""
    (folder / f"members_{name}.py").write_text(
        "import math\n" + textwrap.dedent(MEMBERS).format(name=name, line=line)
    )
    monkeypatch.syspath_prepend(folder)
    return importlib.import_module(f"members_{name}")


def seen(file, watched, work):
    """The local names at each line of a file's functions, by line, while work is done: what a
    debugger would show at a breakpoint.
    """
    found = {}

    def trace(frame, event, arg):
        if frame.f_code.co_filename != file or frame.f_code.co_name not in watched:
            return None
        if event == "line":
            found.setdefault(frame.f_lineno, []).append(dict(frame.f_locals))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return found


def test_a_debugger_stops_inside_a_payoff(tmp_path, monkeypatch):
    module = members(tmp_path, monkeypatch, "Payoff")
    lines = (tmp_path / "members_Payoff.py").read_text().splitlines()
    payoff = module.CappedPayoff(strike=100.0, cap=10.0, maturity=1.0)
    prices = []
    found = seen(
        module.__file__,
        {"finish"},
        lambda: prices.append(
            gq.price(payoff, FLAT, paths=20, engine="monte_carlo", device="python").price
        ),
    )
    last = next(k for k, line in enumerate(lines, 1) if "return min(max(gain" in line)
    assert set(found) == {last - 2, last - 1, last} or set(found) == {last - 2, last}, (
        found.keys(),
        last,
    )
    assert len({float(names["gain"]) for names in found[last]}) >= 20
    assert {float(names["log_spots"][0]) for names in found[last]} and "p" in found[last][0]
    assert prices[0] == pytest.approx(
        gq.price(
            payoff, FLAT, paths=20, engine="monte_carlo", precision="double", device="cpu"
        ).price,
        rel=1e-6,
    )


def test_a_debugger_stops_inside_a_rule(tmp_path, monkeypatch, walk_panel):
    module = members(tmp_path, monkeypatch, "Rule")
    lines = (tmp_path / "members_Rule.py").read_text().splitlines()
    few = gq.Panel.of(walk_panel.to_frame().iloc[:60, :2])
    orders = []
    found = seen(
        module.__file__,
        {"decide", "look"},
        lambda: orders.append(
            gq.backtest(few, module.DipRule(bars=3.0), device="python").measures["orders"]
        ),
    )
    places = [k for k, line in enumerate(lines, 1) if "change" in line]
    assert set(places) <= set(found), (found.keys(), places)
    assert any("change" in names for names in found[places[-1]])
    np.testing.assert_array_equal(
        orders[0], gq.backtest(few, module.DipRule(bars=3.0), device="cpu").measures["orders"]
    )


def test_a_breakpoint_in_a_payoff_is_one(tmp_path, monkeypatch):
    module = members(tmp_path, monkeypatch, "Stopped", "breakpoint()")
    payoff, stops = module.CappedStopped(strike=100.0, cap=10.0, maturity=1.0), []
    monkeypatch.setattr(sys, "breakpointhook", lambda: stops.append(sys._getframe(1)))
    slow = gq.price(
        payoff, FLAT, paths=5, engine="monte_carlo", device="python", precision="double"
    ).price
    assert (
        len(stops) >= 5
        and stops[0].f_code.co_filename == module.__file__
        and "gain" in stops[0].f_locals
    )
    count = len(stops)
    assert gq.price(
        payoff, FLAT, paths=5, engine="monte_carlo", device="cpu", precision="double"
    ).price == pytest.approx(slow, rel=1e-12)
    assert len(stops) == count  # compiled code does not stop


def test_what_the_other_targets_refuse_is_refused(tmp_path, monkeypatch):
    module = members(tmp_path, monkeypatch, "Wrong", "gain = (1.0, 2.0)[i] * gain")
    payoff = module.CappedWrong(strike=100.0, cap=10.0, maturity=1.0)
    said = [
        gq.price(payoff, FLAT, paths=5, engine="monte_carlo", device=device).frame["message"][0]
        for device in ("cpu", "python")
    ]
    assert said[0] == said[1] and "must be known when it is compiled" in said[0]


def test_a_function_that_numba_compiled_is_taken_by_its_source(tmp_path, monkeypatch):
    """By name, and as the member's own."""
    numba = pytest.importorskip("numba")
    line = "gain = doubled(gain)\n"
    (tmp_path / "members_njit.py").write_text(
        (
            "import math\nimport numba\n\n@numba.njit(fastmath=True)\ndef doubled(x):\n"
            "    return 2.0 * x\n"
        )
        + textwrap.dedent(MEMBERS).format(name="Njit", line=line)
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("members_njit")
    plain = members(tmp_path, monkeypatch, "Plain", "gain = 2.0 * gain")
    terms = {"strike": 100.0, "cap": 10.0, "maturity": 1.0}
    one, two = (
        gq.price(cls(**terms), FLAT, paths=500, engine="monte_carlo").price
        for cls in (module.CappedNjit, plain.CappedPlain)
    )
    assert one == two and isinstance(module.doubled, numba.core.dispatcher.Dispatcher)
    monkeypatch.setattr(
        plain.CappedPlain, "finish", staticmethod(numba.njit(plain.CappedPlain.finish))
    )
    assert gq.price(plain.CappedPlain(**terms), FLAT, paths=500, engine="monte_carlo").price == two
