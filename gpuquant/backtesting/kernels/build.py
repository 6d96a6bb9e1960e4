"""From what an account needs to the source of its kernel: the parts of the walk it uses, and the
numbers they read.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from inspect import isfunction
from typing import Any

import numpy as np

from gpuquant.backtesting.kernels import (
    account_events,
    bar_loop,
    buying_power,
    execution,
    path_generator,
    price_access,
    resting_orders,
    statistics,
    stops,
)
from gpuquant.backtesting.kernels.stateless import settled, split
from gpuquant.backtesting.settings import GRIDDED, Margin, Size, Stops
from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.functions import fingerprint, parse
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.subset import PRECISIONS, Member, Rewriter
from gpuquant.compiler.targets import TARGETS
from gpuquant.costs.base import Cost
from gpuquant.data.columns import cached, domains, offered
from gpuquant.data.device_panel import TAIL, lead_of
from gpuquant.errors import MemberError
from gpuquant.models.base import Model
from gpuquant.pricing.kernels.build import sample
from gpuquant.rules.base import HOLD, Rule

MOMENTS = ("s1", "s2", "s3", "s4", "down", "up", "ups", "downs", "under", "under2", "cross")
TALLIES = (
    "best", "worst", "depth", "longest", "exposed", "orders", "rejects", "trades", "wins", "gained",
    "lost", "gain_squares", "best_trade", "worst_trade",
    "win_run", "loss_run", "kept", "longest_trade", "against", "along", "most_against", "fees",
    "turnover", "carried", "dividends", "calls", "low5", "mean5", "high5",
)  # fmt: skip
TAILS = (
    "low5",
    "mean5",
    "high5",
)  # need the changes of a whole column, which a GPU's thread has no room for
DETAILS = ("against", "along", "most_against", *TAILS)
SUMS = ("growth", *MOMENTS, *TALLIES)
OWN = (  # what the walk keeps beside them
    "cash", "active", "alive", "peak", "peak_at", "floor", "deepest", "worth", "run", "why",
    "reason", "debt", "invested", "since",
)  # fmt: skip
REASONS = (
    "",
    "no price",
    "not enough cash",
    "below the lot or the minimum",
    "not enough volume",
    "nothing to close",
    "its price was not reached",
    "the account is ruined",
)
CAUSES = (
    "order",
    "stop loss",
    "trailing stop",
    "take profit",
    "time",
    "limit",
    "stop",
    "margin call",
    "delisting",
    "ruin",
)
DEALT = 8  # numbers of a recorded order
CPU_COLUMNS = 8  # of one unit of work on a CPU: columns are walked one after the other there
BLOCK = TAIL  # bars on a CPU; a GPU's thread goes from bar to bar
FRONT = 8  # where the equity of a block's first bar stands: at the beginning of a vector
ASKED = (
    "sum",
    "close",
    "open",
    "high",
    "low",
    "volume",
)  # what a rule may ask of its parameter `past`
EVERY_BAR = {
    "LEVERED",
    "CARRIES",
    "ACTIONS",
    "DELISTS",
    "TICKETS",
}  # may touch an account at any bar
PLACES = 16  # of each moment's partial sums
NO_SIGNAL = 2  # the code of a bar without one
LEAST_UNITS = 1e-8  # that an order may trade
FILLS = ("next", "same_close", "same_open")


@dataclass(frozen=True)
class Given(Rule):
    """The rule behind an array of wishes: it has no parameters."""

    abstract = True

    @staticmethod
    def begin(r, i):
        return (0.0,), 0.0


class Weights(Given):
    """Target shares of the equity, with shared cash."""

    abstract = True


class Amounts(Given):
    """Target units, with shared cash."""

    abstract = True


class Signals(Given):
    """Directions: each asset is an account that follows its own column."""

    abstract = True


class Tickets(Given):
    """Resting orders, with shared cash."""

    abstract = True


SHARED = (Weights, Amounts, Tickets)  # one account for all assets


@dataclass(frozen=True)
class Kind:
    """What a kernel is made for: everything that it does not need is left out of it."""

    rule: type[Rule]
    cost: type[Cost]
    assets: int
    fill: str
    of: str
    flags: tuple[str, ...]
    holds: tuple[str, ...]
    model: type[Model] | None = None
    bars: int = 0  # of a path, whose room a GPU must know when its kernel is compiled

    def source(self, target: str) -> str | Source:
        """The source of the kernel for `target`; made anew when a function or a number it reads
        has changed.
        """
        gpu = TARGETS[target].gpu
        assets = (
            min(self.assets, 2) if target == "cpu" else self.assets
        )  # on a CPU one kernel serves any number above one
        flags = tuple(f for f in self.flags if f != "TAILS" or not gpu)
        kind = replace(self, assets=assets, flags=flags, bars=self.bars if gpu else 0)
        functions = (
            (self.rule, ("begin", "decide")),
            (self.cost, ("fill", "charge", "afford")),
            (self.model, ("begin", "step", "log_spots")),
        )
        return _kept(
            kind,
            target,
            tuple(fingerprint(getattr(c, n, None)) for c, names in functions for n in names),
        )


@cached
def _kept(kind: Kind, target: str, prints: tuple[Any, ...]) -> str | Source:
    columns = tuple(
        name
        for part in (kind.rule, kind.cost, kind.model)
        if part is not None
        for name in domains(part)
    )
    drawn = () if kind.model is None else (kind.model.normals, kind.model.uniforms)
    return compiler.made(
        partial(_source, kind), target, "back-test", *vars(kind).values(), columns, drawn, prints
    )


NUMBERS = {
    Stops: GRIDDED,
    Size: ("amount", "lot", "minimum", "participation"),
    Margin: ("initial", "maintenance", "financing", "interest", "borrow"),
}
RENAMED = {
    "bars": "MOST_BARS",
    "minimum": "LEAST",
    "splits": "SPLIT",
    "dividends": "DIVIDEND",
    "delistings": "GONE",
}
FLAGS = (
    "SIGNALS", "TARGETS", "ADDS", "STOPS", "RANGES", "CLOSE_ONLY", "TIMED", "TRAILS",
    "FOLLOW_CLOSE", "BASE_CLOSE", "BASE_SIGNAL", "ENTRY_BAR", "STOP_SLIPS", "GOAL_SLIPS",
    "LONG_ONLY", "SHORT_ONLY", "LEVERED", "LOCKED", "LOTS", "PARTIAL", "VOLUMES",
    "IN_ORDER", "HALTS", "ACTIONS", "DELISTS", "CARRIES", "TICKETS", "BENCH", "DETAIL", "TAILS",
    "PATHS", "PRICED",
)  # fmt: skip


def _source(kind: Kind, target: str) -> Source:
    rule, cost = kind.rule, kind.cost
    names = [f"{part.__name__}.{name}" for part in (rule, cost) for name in domains(part)]
    names += [f"{part.__name__}.{name}" for part, numbers in NUMBERS.items() for name in numbers]
    woven: dict[str, Any] = {"MODELLED": 0, "NORMALS": 0, "UNIFORMS": 0}
    members, extra = [], []
    if kind.model is not None:
        drawn = kind.model.normals, kind.model.uniforms
        assert isinstance(drawn[0], int) and isinstance(drawn[1], int)
        constants_, state = offered(kind.model.begin, sample(kind.model), 0, 0.25, 0.0)
        of_model = {name: len(names) + k for k, name in enumerate(domains(kind.model))}
        names += [f"{kind.model.__name__}.{name}" for name in domains(kind.model)]
        lengths = {0: len(constants_), 1: len(state), 2: drawn[0], 3: drawn[1]}
        members = [
            Member("model_begin", kind.model.begin, of_model, accurate=True, offered=4),
            Member("model_step", kind.model.step, of_model, accurate=True, lengths=lengths),
            Member(
                "log_spots", kind.model.log_spots, of_model, accurate=True, lengths={0: len(state)}
            ),
        ]
        woven = {"MODELLED": 1, "NORMALS": drawn[0], "UNIFORMS": drawn[1]}
        extra = [
            *compiler.accessors("normals", drawn[0]),
            *compiler.accessors("uniforms", drawn[1]),
        ]
    place = {name: k for k, name in enumerate(names)}
    of_rule, of_cost = (
        {name: place[f"{part.__name__}.{name}"] for name in domains(part)} for part in (rule, cost)
    )
    given = issubclass(rule, Given)
    seen, latch = 0, None
    if given:
        extra += ast.parse("def look(r, i, past, k):\n    return ()").body
    else:
        decide, seen = _decision(rule, of_rule)
        latch = settled(decide[-2], 2)
        extra += [*decide, *([] if latch is None else [latch])]
    members += [
        Member("begin", rule.begin, of_rule, accurate=True),
        Member("fill_price", cost.fill, of_cost, accurate=True, offered=5),
        Member("charge", cost.charge, of_cost, accurate=True, offered=4),
        Member("afford", cost.afford, of_cost, accurate=True, offered=4),
    ]
    reads = ", ".join(f"fields[at[{f}, 0] + row * at[{f}, 1]]" for f in range(len(names)))
    remembered = len(offered(rule.begin, sample(rule), 0)[0])
    constants = {
        **_constants(kind, target, seen, remembered, place),
        **woven,
        "LATCHES": int(latch is not None),
    }
    rooms = (
        price_access,
        buying_power,
        execution,
        account_events,
        statistics,
        *((stops,) if "STOPS" in kind.flags else ()),
        *((resting_orders,) if "TICKETS" in kind.flags else ()),
        *((path_generator,) if "PATHS" in kind.flags else ()),
        bar_loop,
    )
    inside = [
        f
        for room in rooms
        for f in vars(room).values()
        if isfunction(f) and not f.__name__.startswith(("wish_of_", "walk"))
    ]
    return compiler.source(
        bar_loop.walk,
        members,
        target=target,
        precision="double",
        constants=constants,
        helpers={"wish_of": _wish(kind.rule), **{f.__name__: f for f in inside}},
        apart=("select",),
        extra=[
            *extra,
            *ast.parse(f"def read_row(fields, at, row):\n    return ({reads},)").body,
            *compiler.accessors("seen", seen),
            *compiler.accessors("was", remembered),
        ],
    )


def _wish(rule: type[Rule]) -> Callable[..., Any]:
    return (
        bar_loop.wish_of_signal
        if rule is Signals
        else bar_loop.wish_of_array
        if issubclass(rule, Given)
        else bar_loop.wish_of_rule
    )


def _decision(rule: type[Rule], places: Mapping[str, Any]) -> tuple[list[ast.FunctionDef], int]:
    """The source of a rule's `decide`, and of what it sees of the past for many bars at once:
    how many numbers.
    """
    count, answer = (4, "(state, wish, limit, stop)") if rule.priced else (2, "(state, wish)")
    for node in ast.walk(parse(rule.decide)):
        if (
            isinstance(node, ast.Return)
            and isinstance(node.value, ast.Tuple)
            and len(node.value.elts) != count
        ):
            raise MemberError(
                f"{rule.__name__}.decide returns {ast.unparse(node.value)}: must be "
                f"{answer}, as priced = {rule.priced}"
            )
    member = Member("decide", rule.decide, places, accurate=True, methods={"past": ASKED})
    return split(Rewriter(member, PRECISIONS["double"]).rewrite(), "decide", 2)


def _constants(
    kind: Kind, target: str, seen: int, remembered: int, place: Mapping[str, int]
) -> dict[str, Any]:
    """The names that a kernel's body reads: its choices, and the places of its numbers."""
    gpu = TARGETS[target].gpu
    block = 1 if gpu else BLOCK
    book = {name.upper(): float(k) for k, name in enumerate((*TALLIES, *OWN))}
    each = [
        "HELD",
        "BASIS",
        "SIZE",
        "ENTRY",
        *(("TOP", "LOSS", "STOP", "GOAL") if "STOPS" in kind.flags else ()),
        *(("DEBT_OF",) if "LOCKED" in kind.flags else ()),
    ]
    wider = {"EQUITY": seen, "MOVED": seen + 1, "WAS": seen + 2, "MOMENTS": seen + 2 + remembered}
    found: dict[str, Any] = {
        **{flag: int(flag in kind.flags) for flag in FLAGS},
        **{word.upper(): int(kind.fill == word) for word in FILLS},
        "OF": Size.__dataclass_fields__["of"].metadata["domain"].words.index(kind.of),
        **{
            f"OF_{w.upper()}": k
            for k, w in enumerate(
                (*Size.__dataclass_fields__["of"].metadata["domain"].words, "holding")
            )
        },
        "SKIPS": int(not gpu and not EVERY_BAR & set(kind.flags)),
        "IDLES": int(
            "SIGNALS" in kind.flags and not {"ADDS", "HALTS"} & set(kind.flags) and kind.assets == 1
        ),
        "HOLD": HOLD,
        "NO_SIGNAL": NO_SIGNAL,
        "LEAST_WISH": float(
            np.finfo(np.float64).tiny
        ),  # above zero even where a process has told its CPU to flush what is smaller
        "NAN": "f64('nan')",
        "NO_LIMIT": 1e300,
        "LEAST_UNITS": LEAST_UNITS,
        "ROUNDING": 1e-9,  # of a holding: a smaller order is what rounding makes of none
        "ORIGIN": int(kind.fill != "same_open"),  # the bar of the first return's beginning
        "OPENING": kind.holds.index("opening" if "opening" in kind.holds else "open")
        if {"opening", "open"} & set(kind.holds)
        else 0,
        "BLOCK": block,
        "FRONT": 1 if gpu else FRONT,
        "PLACES": min(block, PLACES),
        **wider,
        "SUMMED": len(MOMENTS),
        **{name.upper(): wider["MOMENTS"] + k for k, name in enumerate(MOMENTS)},
        "TALLIES": len(TALLIES),
        **{name: int(k) for name, k in book.items()},
        "PER": len(each),
        **{name: len(book) + k for k, name in enumerate(each)},
        **{
            RENAMED.get(name, name.upper()): place[f"{part.__name__}.{name}"]
            for part, numbers in NUMBERS.items()
            for name in numbers
        },
        **{RENAMED.get(name, name.upper()): k for k, name in enumerate(kind.holds)},
        **dict(
            zip(
                (
                    "NO_PRICE",
                    "NO_CASH",
                    "TOO_SMALL",
                    "NO_VOLUME",
                    "NOTHING",
                    "NOT_REACHED",
                    "RUINED",
                ),
                (float(k) for k in range(1, 8)),
                strict=True,
            )
        ),
        **{
            f"BY_{name}": float(k)
            for k, name in enumerate(
                ("LOSS", "TRAIL", "PROFIT", "TIME", "LIMIT", "STOP", "MARGIN", "DELISTING", "RUIN"),
                start=1,
            )
        },
        **{f"TICKET_{name.upper()}": k for k, name in enumerate(resting_orders.TICKET)},
        **{f"FATE_{name.upper()}": k for k, name in enumerate(resting_orders.FATE)},
        **{name.upper(): k for k, name in enumerate(resting_orders.STATES)},
    }
    if kind.assets == 1 or target != "cpu":  # a GPU's arrays need their sizes when it is compiled
        found["ASSETS"] = kind.assets
    if kind.bars:
        found |= {"bars": kind.bars, "lead": lead_of(kind.bars)}
    if not gpu:
        found |= {"LANES": CPU_COLUMNS, "WIDTH": CPU_COLUMNS}
    return found
