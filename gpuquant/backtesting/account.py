"""The account: one launch of the back-test walk, from a rule, its parameters and a cost to running sums and orders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from inspect import isfunction
from typing import Any

import numpy as np

from gpuquant.backtesting import walk
from gpuquant.columns import cached, domains
from gpuquant.costs.base import Cost
from gpuquant.device import Place, choose
from gpuquant.device import compile as compiler
from gpuquant.device.language import PRECISIONS, Member, Rewriter, fingerprint
from gpuquant.device.rearrange import hoist
from gpuquant.panel import Panel
from gpuquant.pricing.kernel import pack
from gpuquant.rules.base import HOLD, Rule

MOMENTS = ("s1", "s2", "s3", "s4", "down")
TALLIES = ("best", "worst", "depth", "longest", "exposed", "orders", "trades", "wins", "gained", "lost", "fees", "turnover")
SUMS = ("growth", *MOMENTS, *TALLIES)
OWN = ("cash", "active", "alive", "peak", "peak_at", "floor")  # what the walk keeps beside them
CPU_COLUMNS = 8  # of one unit of work on a CPU: columns are walked one after the other there
BLOCK = {"cpu": 64, "cuda": 1}  # bars


@dataclass(frozen=True)
class Weights(Rule):
    """The rule behind target weights: it has no parameters, its wishes are the caller's array."""

    abstract = True

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0


@dataclass(frozen=True)
class Signals(Rule):
    """The rule behind an array of signals: each asset follows its own column."""

    abstract = True

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0


@dataclass(frozen=True)
class NoCost(Cost):
    """Trading for nothing."""

    abstract = True

    @staticmethod
    def fill(c, i, price, side):
        return price

    @staticmethod
    def charge(c, i, value):
        return 0.0 * value

    @staticmethod
    def afford(c, i, cash):
        return cash


def text(rule: type[Rule], cost: type[Cost], assets: int, same_close: bool, target: str) -> str:
    """The source of a back-test kernel for `target`; made anew when a function or a number it reads has changed."""
    assets = assets if target == "cuda" else min(assets, 2)  # on a CPU one kernel serves any number above one
    prints = tuple(fingerprint(getattr(c, n, None)) for c, names in ((rule, ("begin", "decide")), (cost, ("fill", "charge", "afford"))) for n in names)
    return _kept(rule, cost, assets, same_close, target, prints)


@cached
def _kept(rule: type[Rule], cost: type[Cost], assets: int, same_close: bool, target: str, prints: tuple[Any, ...]) -> str:
    columns = (*domains(rule), *domains(cost))
    return compiler.kept(lambda: _text(rule, cost, assets, same_close, target), "back-test", rule, cost, columns, assets, same_close, target, prints)


def _text(rule: type[Rule], cost: type[Cost], assets: int, same_close: bool, target: str) -> str:
    names = (*domains(rule), *domains(cost)) or ("nothing",)
    places: dict[str, int | float] = {name: k for k, name in enumerate(names)}
    given = rule in (Weights, Signals)
    decide, seen = (
        ("@jit\ndef look(r, i, past, k):\n    return ()\n", 0)
        if given
        else hoist(Rewriter(Member("decide", rule.decide, places, accurate=True), PRECISIONS["double"]).rewrite(), "decide", 2)
    )
    members = [
        Member("begin", rule.begin, places, accurate=True),
        Member("fill_price", cost.fill, places, accurate=True),
        Member("charge", cost.charge, places, accurate=True),
        Member("afford", cost.afford, places, accurate=True),
    ]
    reads = ", ".join(f"fields[at[{f}, 0] + row * at[{f}, 1]]" for f in range(len(names)))
    book = {name.upper(): k for k, name in enumerate((*TALLIES, *OWN))}
    constants: dict[str, Any] = {
        "SAME_CLOSE": int(same_close),
        "SIGNALS": int(rule is not Weights),
        "HOLD": HOLD,
        "NAN": "f64('nan')",
        "BLOCK": BLOCK[target],
        "EQUITY": seen,
        "MOMENTS": seen + 1,
        "SUMMED": len(MOMENTS),
        "TALLIES": len(TALLIES),
        **book,
        **{name: len(book) + k for k, name in enumerate(("HELD", "BASIS", "WANT", "SIZE"))},
    }
    if assets == 1 or target == "cuda":  # a GPU's arrays need their sizes when it is compiled
        constants["ASSETS"] = assets
    if target == "cpu":
        constants |= {"LANES": CPU_COLUMNS, "WIDTH": CPU_COLUMNS}
    inside = [f for f in vars(walk).values() if isfunction(f) and not f.__name__.startswith(("wish_of_", "walk"))]
    return compiler.source(
        walk.walk,
        members,
        target=target,
        precision="double",
        constants=constants,
        helpers={"wish_of": walk.wish_of_array if given else walk.wish_of_rule, **{f.__name__: f for f in inside}},
        extra=f"@jit\ndef read_row(fields, at, row):\n    return ({reads},)\n\n{compiler.accessors('seen', seen)}\n{decide}\n",
    )


@dataclass(frozen=True)
class Account:
    """One launch of the walk: what is traded, how it fills and what it costs."""

    panel: Panel
    rule: type[Rule]
    parameters: dict[str, np.ndarray]
    cost: Cost
    wishes: np.ndarray | None
    same_close: bool
    cash: float

    @property
    def rows(self) -> int:
        """Rows of parameters."""
        return max((v.size for v in self.parameters.values()), default=1)

    @property
    def assets(self) -> int:
        """Assets of one account."""
        return len(self.panel.assets) if self.rule is Weights else 1

    @property
    def columns(self) -> int:
        """Accounts."""
        return len(self.panel.assets) // self.assets * self.rows

    def run(
        self, place: Place, progress: Any = None, *, record: np.ndarray | None = None, only: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Running sums (columns, sums), and with `record` (the number of orders of each column) equity and orders too."""
        resident = self.panel.on(place)
        columns = {**self.parameters, **self.cost.columns()} or {"nothing": np.zeros(1)}
        fields, at = pack(columns, tuple(columns), np.float64)
        xp = place.xp
        bars, count = self.panel.bars, self.columns
        at_order = np.concatenate([[0], np.cumsum(record)]).astype(np.int64) if record is not None else np.zeros(count + 1, np.int64)
        out = xp.empty((count, len(SUMS)))
        equity = xp.empty((count if record is not None else 1, bars if record is not None else 1))
        orders = xp.empty((max(int(at_order[-1]), 1), 5))
        wishes = np.empty((1, 1)) if self.wishes is None else self.wishes
        fill = resident.close if self.same_close else resident.open
        arguments = (
            self.assets, count, self.rows, bars, resident.lead, place.put(fields, "fields"), place.put(at, "at"), resident.sums, resident.close, fill,
            place.put(wishes, "wishes"), float(self.cash), out, record is not None, equity, orders, place.put(at_order, "order_at"),
        )  # fmt: skip
        source = partial(text, self.rule, type(self.cost), self.assets, self.same_close)
        width = CPU_COLUMNS if place.kind == "cpu" else compiler.width(place)
        units = -(-count // width)
        compiler.run(source, place, units, arguments, chunk=max(1, min(int(3e7 / (width * bars)), units // (16 * place.threads))), progress=progress)
        return place.get(out, "sums"), place.get(equity, "equity"), place.get(orders, "orders")


def record(account: Account, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walk the chosen columns again, keeping equity and orders: (columns, bars), (orders, 5), orders per column.

    On the CPU, once to count the orders and once to keep them, wherever the first run was.
    """
    panel, rows = account.panel, account.rows
    if len(which) == account.columns and (which == np.arange(account.columns)).all():
        place = choose("cpu")
        every = account.run(place)[0][:, SUMS.index("orders")].astype(np.int64)
        _, equity_all, orders_all = account.run(place, record=every)
        return equity_all, orders_all[: every.sum()], every
    equity, orders, numbers = [], [], []
    for column in which:
        group, row = divmod(int(column), rows)
        names = slice(group * account.assets, (group + 1) * account.assets)
        part = panel if account.assets == len(panel.assets) else _slice(panel, names)
        wishes = None if account.wishes is None else np.ascontiguousarray(account.wishes[:, names])
        parameters = {k: v if v.size == 1 else v[row : row + 1] for k, v in account.parameters.items()}
        one = Account(part, account.rule, parameters, account.cost, wishes, account.same_close, account.cash)
        place = choose("cpu:1")
        number = one.run(place)[0][:, SUMS.index("orders")].astype(np.int64)
        _, curve, fills = one.run(place, record=number)
        fills = fills[: number[0]].copy()
        fills[:, 1] += names.start
        equity.append(curve[0])
        orders.append(fills)
        numbers.append(number[0])
    return np.array(equity), np.concatenate(orders), np.array(numbers)


def _slice(panel: Panel, names: slice) -> Panel:
    cut = Panel(panel.close[:, names], panel.dates, panel.assets[names], None if panel.open is None else panel.open[:, names])
    tick, exact = panel.tick
    cut.__dict__["tick"] = (tick[names] if isinstance(tick, np.ndarray) else tick, exact)  # of the whole panel: the same signals
    return cut
