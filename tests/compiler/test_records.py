"""Records and bundles: what a kernel changes by name, and what it reads by name.

Compiled code, numba on the same text and Python itself must agree on every number.
"""
# ruff: noqa: F821

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from gpuquant.compiler import build, interpret, kernel
from gpuquant.compiler.records import Numbers, Record
from gpuquant.errors import MemberError
from tests.compiler.with_numba import with_numba


class Account(Record):
    """A record of every type of number."""

    cash: float
    alive: bool
    entry: int
    path: Annotated[Numbers, "N"]


class Point(Record, number="F"):
    """A record in the run's precision."""

    x: float
    y: float


class Prices(NamedTuple):
    """A bundle of an array and a number."""

    close: Any
    lead: int


class Market(NamedTuple):
    """A bundle that holds another, and a list of records."""

    prices: Prices
    points: list[Point]


class Flags(NamedTuple):
    """Constants with names."""

    spends: bool = True


TYPES = (Account, Point, Prices, Market)


def spend(account: Account, market: Market, t, amount):
    account.cash -= amount * market.prices.close[market.prices.lead + t]
    account.alive = account.cash > 0.0
    account.entry = t
    account.path[1] += market.points[t].y


def total(points: list[Point]):
    found = 0.0
    for j in range(len(points)):
        point = points[j]
        found += point.x + point.y
    return found


def walk(unit, lane0, prices: Prices, bars, out):
    account = Account()
    points = records(Point, bars)
    grid = records(Point, (2, 4))
    for lane in range(4):
        for v in unrolled(2):
            grid[v, lane].x = 10.0 * v + lane
            grid[v, lane].y = 1.0
    clear(account)
    account.path = (1.0, 2.0, 3.0)
    for t in range(bars):
        points[t].x = 1.0
        points[t].y = t
    account.cash = 1000.0
    market = Market(points=points, prices=prices)
    for t in range(bars):
        if flags.spends:
            spend(account, market, t, 2.0)
    write_fields(account, out, unit, 1)
    add_fields(grid[0, 1], grid[1, 2])
    point = grid[0, 1]
    same = point  # another name for the same record
    same.x += 100.0
    a, b, c = account.path
    sure = 1.0 if account.alive else 0.0
    out[unit, 0] = total(points) + point.x + sure + account.entry + a + b + c


def source(body, target, **constants):
    functions = {"spend": spend, "total": total, "taker": taker}
    known = {"N": 3, "flags": Flags(), **constants}
    return kernel.source(
        body,
        [],
        target=target,
        precision="double",
        constants=known,
        types=TYPES,
        helpers=functions,
    )


def taker(point: Point):
    return point.x


@pytest.mark.parametrize("spends", [True, False])
def test_compiled_code_numba_and_python_agree(spends):
    prices, found = Prices(np.arange(10.0), 3), []
    text = source(walk, "cpu", flags=Flags(spends)).text()
    by_python = source(walk, "python", flags=Flags(spends))
    for run in (
        build.tile(text, (prices, 5, out := np.zeros((1, 7)))),
        lambda first, count: with_numba(text)(first, count, tuple(prices), 5, out),
        lambda first, count: interpret.interpreted(by_python)(first, count, prices, 5, out),
    ):
        run(0, 1)
        found.append(out.copy())
    cash = 1000.0 - 2.0 * sum(range(3, 8)) * spends
    path = (1.0, 2.0 + sum(range(5)) * spends, 3.0)
    assert found[0][0].tolist() == [
        15.0 + (1.0 + 12.0 + 100.0) + spends + 4.0 * spends + sum(path),
        cash,
        float(spends),
        4.0 * spends,
        *path,
    ]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_name_that_may_stand_for_either_record_is_none():
    """Compiled code would always take the last."""
    text = source(forgets_its_record, "cpu").text()
    with pytest.raises(MemberError, match=r"point\.x"):
        build.tile(text, (2, np.zeros((1, 1))))


def test_a_vector_that_is_read_is_a_copy():
    def body(unit, lane0, out):
        account = Account()
        clear(account)
        before = account.path
        account.path = (1.0, 2.0, 3.0)
        out[unit, 0] = before[1]

    found = np.ones((2, 1))
    build.tile(source(body, "cpu").text(), (found[:1],))(0, 1)
    interpret.interpreted(source(body, "python"))(0, 1, found[1:])
    assert found.tolist() == [[0.0], [0.0]]


def test_on_a_gpu_a_record_is_registers():
    kinds = build.llvm.taken((Prices(np.zeros(3), 0), 2, np.zeros((1, 7))))[0]

    def body(unit, lane0, prices: Prices, bars, out):
        account = Account()
        clear(account)
        for t in range(bars):
            account.cash += prices.close[t]
        write_fields(account, out, unit, 0)

    text = source(body, "cuda").text()
    assembly = build.ptx(text, tuple(kinds)).decode()
    assert ".local" not in assembly and "call" not in assembly


def reads_what_is_not_there(unit, lane0, out):
    account = Account()
    out[unit, 0] = account.money


def gives_another_record(unit, lane0, out):
    account = Account()
    out[unit, 0] = taker(account)


def asks_a_bundle_for_more(unit, lane0, prices: Prices, out):
    out[unit, 0] = prices.high[0]


def clears_a_number(unit, lane0, out):
    cash = 1.0
    clear(cash)


def forgets_its_record(unit, lane0, bars, out):
    points = records(Point, 2)
    for j in range(2):
        points[j].x = 1.0 * j
    if bars > 1:
        point = points[0]
    else:
        point = points[1]
    out[unit, 0] = point.x


def gives_another_list(unit, lane0, out):
    accounts = records(Account, 2)
    out[unit, 0] = total(accounts)


def adds_another_record(unit, lane0, out):
    account = Account()
    point = Point()
    add_fields(account, point)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (gives_another_list, r"a list\[Account\] is given where list\[Point\] is taken"),
        (adds_another_record, "both must be a Account"),
        (reads_what_is_not_there, "Account has no 'money'.*cash, alive, entry, path"),
        (gives_another_record, "a Account is given where Point is taken"),
        (asks_a_bundle_for_more, "Prices has no 'high'.*close, lead"),
        (clears_a_number, "clear takes a record"),
    ],
)
def test_wrong_names_are_refused(body, says):
    with pytest.raises(MemberError, match=says):
        source(body, "cpu")
