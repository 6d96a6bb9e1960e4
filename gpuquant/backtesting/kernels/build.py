"""From what an account needs to the source of its kernel: the parts of the bar loop it uses, and
the numbers they read.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from inspect import isfunction
from typing import Any

import numpy as np

from gpuquant.backtesting.kernels import (
    account_bars,
    account_events,
    bar_loop,
    buying_power,
    decisions,
    execution,
    marking,
    order_sizing,
    path_generator,
    price_access,
    resting_orders,
    statistics,
    stop_levels,
    stops,
    trade_statistics,
)
from gpuquant.backtesting.kernels.codes import (
    CPU_BLOCK,
    MIN_UNITS,
    NO_CHANGE,
    NO_LIMIT,
    NO_SIGNAL,
    ROUNDING,
    Cause,
    OrderState,
    Reject,
    SizeType,
)
from gpuquant.backtesting.kernels.flags import ExtraFields, Flags
from gpuquant.backtesting.kernels.given import EntrySignals, Given, Signals
from gpuquant.backtesting.kernels.records import TYPES, Moments, Settings, Tally
from gpuquant.backtesting.kernels.stateless import detect_stateless_update, split_stateless
from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.functions import fingerprint, parse
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.member import PRECISIONS, Member
from gpuquant.compiler.subset import Rewriter
from gpuquant.compiler.targets import TARGETS
from gpuquant.costs.base import Cost
from gpuquant.data.columns import cached, domains, offered
from gpuquant.data.device_panel import RIGHT_PADDING, left_padding
from gpuquant.errors import MemberError
from gpuquant.models.base import Model
from gpuquant.pricing.kernels.build import sample
from gpuquant.rules.base import ACCOUNT, Rule

TAILS = ("low5", "mean5", "high5")  # need a whole column's returns, more than a GPU's thread holds
DETAILS = ("adverse", "favourable", "most_adverse", *TAILS)
SUMS = ("growth", *Moments.__annotations__, *Tally.__annotations__)
CAUSES = tuple(cause.name.lower().replace("_", " ") for cause in Cause)
STATES = tuple(state.name.lower() for state in OrderState)
REASONS = (  # by the number of a Reject
    "",
    "no price",
    "not enough cash",
    "below the lot or the minimum",
    "not enough volume",
    "nothing to close",
    "its price was not reached",
    "the account is ruined",
)
CPU_COLUMNS = 8  # of one unit of work on a CPU: columns are back-tested one after the other there
PADDING = 8  # where the equity of a block's first bar stands: at the beginning of a vector
ASKED = ("sum", "close", "open", "high", "low", "volume")  # what a rule may ask of `past`
PLACES = 16  # of each moment's partial sums
FILLS = ("next", "same_close", "same_open")
assert CPU_BLOCK <= RIGHT_PADDING


@dataclass(frozen=True)
class Kind:
    """What a kernel is made for: everything that it does not need is left out of it."""

    rule: type[Rule]
    cost: type[Cost]
    assets: int
    fill: str
    size_type: str
    flags: Flags
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
        kind = replace(self, assets=assets, bars=self.bars if gpu else 0)
        functions = (
            (self.rule, ("begin", "decide")),
            (self.cost, ("fill", "charge", "afford")),
            (self.model, ("begin", "step", "log_spots")),
        )
        return _cached_source(
            kind,
            target,
            tuple(fingerprint(getattr(c, n, None)) for c, names in functions for n in names),
        )


@cached
def _cached_source(kind: Kind, target: str, prints: tuple[Any, ...]) -> str | Source:
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


PARTS = (
    price_access,
    buying_power,
    execution,
    trade_statistics,
    account_events,
    order_sizing,
    decisions,
    marking,
    statistics,
    stop_levels,
    stops,
    resting_orders,
    path_generator,
    account_bars,
    bar_loop,
)
HELPERS = {
    name: function
    for part in PARTS
    for name, function in vars(part).items()
    if isfunction(function) and not name.endswith("_target") and name != "bar_loop"
}


def _source(kind: Kind, target: str) -> Source:
    columns = [
        f"{part.__name__}.{name}" for part in (kind.rule, kind.cost) for name in domains(part)
    ]
    places = {name: k for k, name in enumerate((*columns, *Settings._fields))}
    members, extra, constants = _simulated(kind, len(places))
    of_rule, of_cost = (
        {name: places[f"{part.__name__}.{name}"] for name in domains(part)}
        for part in (kind.rule, kind.cost)
    )
    seen, stateless = 0, None
    if kind.rule.sees_account():
        seen = len(ACCOUNT)
        extra += [] if issubclass(kind.rule, Given) else _decision(kind.rule, of_rule)
    elif issubclass(kind.rule, Given):
        extra += ast.parse("def look(r, i, past, k):\n    return ()").body
    else:
        decide, seen = split_stateless(_decision(kind.rule, of_rule), "decide", 2)
        stateless = detect_stateless_update(decide[-2], 2)
        extra += [*decide, *([] if stateless is None else [stateless])]
    members += [
        Member("begin", kind.rule.begin, of_rule, accurate=True),
        Member("fill_price", kind.cost.fill, of_cost, accurate=True, offered=5),
        Member("charge", kind.cost.charge, of_cost, accurate=True, offered=4),
        Member("afford", kind.cost.afford, of_cost, accurate=True, offered=4),
    ]
    numbers = len(places) + (0 if kind.model is None else len(domains(kind.model)))
    extra += [
        *_reader("read_parameters", "", range(numbers)),
        *_reader("read_settings", "Settings", range(len(columns), len(places))),
    ]
    state = len(offered(kind.rule.begin, sample(kind.rule), 0)[0])
    constants |= _constants(kind, target, stateless is not None)
    return compiler.source(
        bar_loop.bar_loop,
        members,
        target=target,
        precision="double",
        constants={**constants, "SEEN": seen, "STATE": state},
        types=TYPES,
        helpers={"target_of": _target(kind.rule), **HELPERS},
        apart=("partition_at",),
        extra=extra,
    )


def _simulated(kind: Kind, first: int) -> tuple[list[Member], list[ast.stmt], dict[str, Any]]:
    """The members, accessors and constants of a model whose paths are traded, its columns from the
    place `first` on.
    """
    if kind.model is None:
        return [], [], {"NORMALS": 0, "UNIFORMS": 0}
    model, normals, uniforms = kind.model, kind.model.normals, kind.model.uniforms
    assert isinstance(normals, int) and isinstance(uniforms, int)
    constants, state = offered(model.begin, sample(model), 0, 0.25, 0.0)
    places = {name: first + k for k, name in enumerate(domains(model))}
    lengths = {0: len(constants), 1: len(state), 2: normals, 3: uniforms}
    members = [
        Member("model_begin", model.begin, places, accurate=True, offered=4),
        Member("model_step", model.step, places, accurate=True, lengths=lengths),
        Member("log_spots", model.log_spots, places, accurate=True, lengths={0: len(state)}),
    ]
    accessors = [
        *compiler.accessors("normals", normals),
        *compiler.accessors("uniforms", uniforms),
    ]
    return members, accessors, {"NORMALS": normals, "UNIFORMS": uniforms}


def _reader(name: str, bundle: str, places: range) -> list[ast.stmt]:
    """A function that reads some numbers of a row: a tuple of them, or a bundle."""
    numbers = ", ".join(f"numbers[at[{f}, 0] + row * at[{f}, 1]]" for f in places)
    made = f"{bundle}({numbers})" if bundle else f"({numbers},)"
    return ast.parse(f"def {name}(numbers, at, row):\n    return {made}").body


def _target(rule: type[Rule]) -> Callable[..., Any]:
    """What gives the target at a bar."""
    if rule is Signals:
        return decisions.signal_target
    if rule is EntrySignals:
        return decisions.entry_target
    return decisions.array_target if issubclass(rule, Given) else decisions.rule_target


def _decision(rule: type[Rule], places: Mapping[str, Any]) -> list[ast.FunctionDef]:
    """The source of a rule's `decide`, after that of the functions which it calls."""
    count, answer = (4, "(state, target, limit, stop)") if rule.priced else (2, "(state, target)")
    for node in ast.walk(parse(rule.decide)):
        if (
            isinstance(node, ast.Return)
            and isinstance(node.value, ast.Tuple)
            and len(node.value.elts) != count
        ):
            raise MemberError(
                f"{rule.__name__}.decide returns {ast.unparse(node.value)}: must be {answer}, "
                f"as priced = {rule.priced}"
            )
    names = list(inspect.signature(rule.decide).parameters)
    member = Member(
        "decide",
        rule.decide,
        places,
        accurate=True,
        methods={"past": ASKED},
        attributes={names[5]: ACCOUNT} if rule.sees_account() else {},
    )
    return Rewriter(member, PRECISIONS["double"]).rewrite()


def _constants(kind: Kind, target: str, stateless: bool) -> dict[str, Any]:
    """What the names that a kernel's body reads stand for."""
    gpu = TARGETS[target].gpu
    block = 1 if gpu or kind.flags.sees_account else CPU_BLOCK
    held = ["open" if name == "opening" else name for name in kind.holds]
    every_bar = kind.flags.margin or kind.flags.financing or kind.flags.actions
    every_bar = every_bar or kind.flags.delistings or kind.flags.resting_orders
    result: dict[str, Any] = {
        "flags": replace(
            kind.flags,
            at_next=kind.fill == "next",
            skip_idle_bars=not (block == 1 or every_bar),
            skip_repeated_signals=kind.flags.signals
            and not (kind.flags.pyramiding or kind.flags.allow_halts)
            and kind.assets == 1,
            stateless=stateless,
            from_model=kind.model is not None,
            keep_returns=kind.flags.keep_returns and not gpu,
        ),
        "extra": ExtraFields(
            **{f.name: held.index(f.name) for f in fields(ExtraFields) if f.name in held}
        ),
        "Cause": Cause,
        "Reject": Reject,
        "OrderState": OrderState,
        "SizeType": SizeType,
        "SIZE_TYPE": int(SizeType[kind.size_type.upper()]),
        "NO_CHANGE": NO_CHANGE,
        "NO_SIGNAL": NO_SIGNAL,
        "NO_LIMIT": NO_LIMIT,
        "MIN_UNITS": MIN_UNITS,
        "ROUNDING": ROUNDING,
        # above zero even where a process has told its CPU to flush what is smaller
        "LEAST_SIGNAL": float(np.finfo(np.float64).tiny),
        "NAN": "f64('nan')",
        "NEXT": int(kind.fill == "next"),
        "TO_DECIDE": 2,  # what is due at a bar whose rule looks at the account first
        "ORIGIN": int(kind.fill != "same_open"),  # the bar of the first return's beginning
        "BLOCK": block,
        "PADDING": 1 if gpu else PADDING,
        "PLACES": min(block, PLACES),
        "MOMENTS": len(Moments.__annotations__),
    }
    if kind.assets == 1 or target != "cpu":  # a GPU's arrays have sizes known when it is compiled
        result |= {"job.assets": kind.assets, "len(positions)": kind.assets}
    if kind.bars:
        result |= {"job.bars": kind.bars, "prices.left_padding": left_padding(kind.bars)}
    if not gpu:
        result |= {"LANES": CPU_COLUMNS, "WIDTH": CPU_COLUMNS}
    return result
