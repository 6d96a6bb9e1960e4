"""From a (model, payoff) pair to the source of its kernel, and the arrays a launch needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from inspect import isfunction
from typing import Any

import numpy as np

from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.functions import fingerprint
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.member import PRECISIONS, Member
from gpuquant.compiler.targets import TARGETS
from gpuquant.data.columns import cached, domains, offered, takes
from gpuquant.errors import MemberError
from gpuquant.math import rng, sobol
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.kernels import drawing, path_loop, payments, record_paths, sobol_draws
from gpuquant.pricing.kernels.records import (
    TYPES,
    Flags,
)

LEVELS = 12  # of the bridges of one stretch, where all have 2^18 steps


@dataclass(frozen=True)
class Pair:
    """A kernel's identity: what is compiled once.

    Parameters
    ----------
    model, payoff : type
        The two member classes.
    fixed : tuple of (str, float)
        Choices that are constants of the kernel.
    precision : str
        single, mixed or double.
    variants, outputs : int
        Walks per row on the same draws, and averaged combinations of them.
    lengths : tuple of (str, int)
        Of the columns that are lists.
    recorded : bool
        The paths are written down instead of averaged.
    control : type, optional
        The payoff that is the control variate. It reads the columns of `payoff`.
    control_fixed : tuple of (str, float)
        Its choices that are constants of the kernel.
    slopes : int
        Directions along which each path is differentiated.
    coupled : bool
        The second half of the variants walks a grid of steps twice as long.
    sobol : bool
        The normals are of scrambled Sobol points.
    """

    model: type[Model]
    payoff: type[Payoff]
    fixed: tuple[tuple[str, float], ...]
    precision: str
    variants: int = 1
    outputs: int = 1
    lengths: tuple[tuple[str, int], ...] = ()
    recorded: bool = False
    control: type[Payoff] | None = None
    control_fixed: tuple[tuple[str, float], ...] = ()
    slopes: int = 0
    coupled: bool = False
    sobol: bool = False

    @property
    def state(self) -> Any:
        """NumPy's type of states and columns."""
        return compiler.STATE_TYPES[PRECISIONS[self.precision].state]

    @property
    def places(self) -> dict[str, int | range]:
        """The position of each column in a packed row: first the model's columns, then the
        payoff's. A list has several positions.
        """
        result: dict[str, int | range] = {}
        lengths, here = dict(self.lengths), 0
        for name, domain in {**domains(self.model), **domains(self.payoff)}.items():
            if not domain.host_only:
                result[name] = range(here, here + lengths[name]) if domain.listed else here
                here += lengths.get(name, 1)
        return result

    @property
    def names(self) -> tuple[str, ...]:
        """The column names of a packed row in order; the name of a list once for each position."""
        return tuple(
            name
            for name, place in self.places.items()
            for _ in (place if isinstance(place, range) else (place,))
        )

    def number(self, stated: int | str) -> int:
        """A number that a member states, or the length of the column it names."""
        return dict(self.lengths)[stated] if isinstance(stated, str) else stated

    @property
    def bridged(self) -> bool:
        """Whether the payoff watches between steps."""
        return self.payoff.continuous_monitoring(dict(self.fixed))

    @property
    def early(self) -> bool:
        """Whether the payoff asks what an early payment has grown to at maturity."""
        return (
            takes(self.payoff.observe_bridge) > 7
            if self.bridged
            else takes(self.payoff.observe) > 5
        )


def sample(cls: type[Any], lengths: tuple[tuple[str, int], ...] = ()) -> Any:
    """A member with one row inside every domain.

    The length of a list is that in `lengths`, else that in the member's `sample_lengths`, else two.
    A longer list that need not increase has the sum of a list of two.
    """
    long = dict(lengths)
    usual = getattr(cls, "sample_lengths", {})
    columns = {name: np.full(1, domain.sample) for name, domain in domains(cls).items()}
    for name, domain in domains(cls).items():
        if domain.listed:
            length = long.get(name, usual.get(name, 2))
            columns[name] = (
                domain.sample
                * (
                    np.arange(1.0, length + 1.0)
                    if domain.increasing
                    else np.full(length, 2.0 / max(length, 2))
                )[None]
            )
    return cls.from_columns(columns).with_derived_columns()


@cached
def sizes(pair: Pair) -> dict[str, int]:
    """How many constants, state fields and accumulator fields the pair uses, learnt by calling
    it on a sample row.
    """
    model, payoff = pair.model, pair.payoff
    constants, state = offered(model.begin, sample(model, pair.lengths), 0, 0.25, 0.0)
    acc = offered(payoff.start, sample(payoff, pair.lengths), 0, model.log_spots(state), 1.0)
    for name, value in (("begin constants", constants), ("begin state", state), ("start", acc)):
        if not isinstance(value, tuple) or not value:
            raise MemberError(
                f"{model.__name__} with {payoff.__name__}: {name} must be a non-empty "
                f"tuple of numbers, got {value!r}"
            )
    z, u = (0.1,) * pair.number(model.normals), (0.5,) * pair.number(model.uniforms)
    moved = model.step(constants, state, z, u, 0.0)
    if not isinstance(moved, tuple) or len(moved) != len(state):
        raise MemberError(
            f"{model.__name__}.step must return a tuple of {len(state)} like begin's "
            f"state, got {moved!r}"
        )
    assets = pair.number(model.assets)
    if len(model.log_spots(moved)) != assets:
        raise MemberError(
            f"{model.__name__}.log_spots must return one value for each of its {assets} assets"
        )
    control = (0.0,)
    if pair.control is not None:
        of_control = sample(pair.control, pair.lengths)
        control = offered(pair.control.start, of_control, 0, model.log_spots(state), 1.0)
    return {"NC": len(constants), "NX": len(state), "NA": len(acc), "NB": len(control)}


MODEL_FUNCTIONS = ("begin", "discount", "step", "log_spots", "bridge", "deflator")
PAYOFF_FUNCTIONS = ("start", "finish", "observe", "observe_bridge")


def source(pair: Pair, target: str) -> str | Source:
    """The source of the pair's kernel for `target`; made anew when a function or a number it
    reads has changed.
    """
    parts = [getattr(pair.model, n, None) for n in MODEL_FUNCTIONS] + [
        getattr(one, n, None) for one in (pair.payoff, pair.control) for n in PAYOFF_FUNCTIONS
    ]
    return _kept(pair, target, tuple(fingerprint(f) for f in parts))


@cached
def _kept(pair: Pair, target: str, prints: tuple[Any, ...]) -> str | Source:
    model = pair.model
    drawn = (model.normals, model.uniforms, model.assets, model.step_in_double)
    own = (*vars(pair).values(), pair.names, drawn, pair.payoff.uniforms, pair.bridged)
    return compiler.made(partial(_source, pair), target, own, prints)


def _check(pair: Pair) -> None:
    """Refuse a pair that makes no sense."""
    clash = set(domains(pair.model)) & set(domains(pair.payoff))
    if clash:
        raise MemberError(
            f"{pair.model.__name__} and {pair.payoff.__name__} both have a column named "
            f"{sorted(clash)[0]!r}"
        )
    if pair.bridged and not pair.model.continuous():
        raise MemberError(
            f"{pair.model.__name__} jumps: it has no bridge for {pair.payoff.__name__} "
            "with continuous monitoring"
        )
    if pair.early and hasattr(pair.model, "deflator"):
        raise MemberError(
            f"{pair.payoff.__name__} pays early, and under {pair.model.__name__} no one "
            "knows today what that is worth at maturity"
        )


def _members(pair: Pair, shape: dict[str, int]) -> list[Member]:
    """The functions of model and payoff that the pair's kernel calls."""
    model, payoff = pair.model, pair.payoff
    places: dict[str, int | float | range] = {**pair.places, **dict(pair.fixed)}
    normals, uniforms, assets = (
        pair.number(model.normals),
        pair.number(model.uniforms),
        pair.number(model.assets),
    )
    c, x, acc = shape["NC"], shape["NX"], shape["NA"]
    members = [
        Member("begin", model.begin, places, accurate=True, offered=4),
        Member("discount", model.discount, places, accurate=True),
        Member(
            "step",
            model.step,
            places,
            accurate=model.step_in_double,
            lengths={0: c, 1: x, 2: normals, 3: uniforms},
        ),
        Member("log_spots", model.log_spots, places, lengths={0: x}),
        Member("start", payoff.start, places, accurate=True, offered=4, lengths={2: assets}),
        Member("finish", payoff.finish, places, accurate=True, lengths={2: acc, 3: assets}),
        Member("observe", payoff.observe, places, offered=6, lengths={2: acc, 3: assets}),
    ]
    if pair.bridged:
        lengths = {2: acc, 3: assets, 4: assets, 5: 3 * assets}
        members.append(
            Member("observe_bridge", payoff.observe_bridge, places, offered=9, lengths=lengths)
        )
        members.append(Member("bridge", model.bridge, places, lengths={0: c, 1: x, 2: x}))
    if pair.control is not None:
        control, places = pair.control, {**places, **dict(pair.control_fixed)}
        b = shape["NB"]
        members += [
            Member("control_start", control.start, places, accurate=True, offered=4,
                   lengths={2: assets}),
            Member("control_observe", control.observe, places, offered=6,
                   lengths={2: b, 3: assets}),
            Member("control_finish", control.finish, places, accurate=True,
                   lengths={2: b, 3: assets}),
        ]  # fmt: skip
    if hasattr(model, "deflator"):
        deflator = model.deflator  # type: ignore[attr-defined]
        members.append(Member("deflator", deflator, places, accurate=True, lengths={0: x}))
    return members


def _flags(pair: Pair) -> Flags:
    nothing = Payoff.observe
    return Flags(
        bridged=pair.bridged,
        observed=pair.payoff.observe is not nothing,
        pays_early=pair.early,  # two exponentials a step
        random_rates=hasattr(pair.model, "deflator"),
        recorded=pair.recorded,
        controlled=pair.control is not None,
        control_observed=pair.control is not None and pair.control.observe is not nothing,
        coupled=pair.coupled,
        sobol=pair.sobol,
    )


def _source(pair: Pair, target: str) -> Source:
    names = pair.names
    _check(pair)
    model, payoff = pair.model, pair.payoff
    shape, numbers = sizes(pair), [pair.number(n) for n in (model.normals, model.uniforms)]
    batch, assets = 1 if TARGETS[target].gpu else pair.variants, pair.number(model.assets)
    draws = 4 * (sum(numbers) + payoff.uniforms)
    constants: dict[str, Any] = {
        "flags": _flags(pair),
        **shape,
        "EARLY": 0.5 if pair.bridged else 0.0,  # of a step, that it pays before its end
        "WATCHED": payoff.uniforms,
        "PAYOFF_PURPOSE": 8,  # counters of its own: no payoff moves a model's draws
        "NF": len(names),
        "ASSETS": assets,
        "NORMALS": numbers[0],
        "UNIFORMS": numbers[1],
        "DRAWS": draws,
        "KEPT": (2 if pair.coupled else 1) * draws + 1,
        "LEVELS": LEVELS if pair.sobol else 0,
        "PARTS": sobol.PARTS if pair.sobol else 0,
        "SHIFT_PURPOSE": rng.PURPOSES["shift of Sobol points"],
        "VARIANTS": pair.variants,
        "BATCH": batch,
        "OUTPUTS": pair.outputs,
        "SLOPES": pair.slopes,
        "PAID": 1 + pair.slopes,
        "MATURITY": names.index("maturity"),
    }
    tuples = {
        "normals": numbers[0],
        "uniforms": numbers[1],
        "watched": payoff.uniforms,
        "prices": assets,
        "slopes": pair.slopes,
        "paid": 1 + pair.slopes,
    }
    return compiler.source(
        record_paths.record_paths if pair.recorded else path_loop.path_loop,
        _members(pair, shape),
        target=target,
        precision=pair.precision,
        constants=constants,
        types=TYPES,
        extra=[line for name, size in tuples.items() for line in compiler.accessors(name, size)],
        helpers={
            name: function
            for module in (path_loop, payments, drawing, sobol_draws)
            for name, function in vars(module).items()
            if isfunction(function) and name != "path_loop"
        },
    )
