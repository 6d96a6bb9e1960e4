"""From a model and a payoff to the kernel of their grid walk, and its launch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from inspect import isfunction
from typing import Any

import numpy as np

from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.functions import fingerprint
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.member import Member
from gpuquant.compiler.targets import TARGETS
from gpuquant.data.columns import cached, offered
from gpuquant.device import launch
from gpuquant.pricing.kernels import grid_loop, grid_terms
from gpuquant.pricing.kernels.build import Pair, sample
from gpuquant.pricing.kernels.grid_records import (
    DAMPED,
    LINES,
    MARKS,
    PARTS,
    SLOTS,
    TINY,
    Flags,
    Grid,
)

Kernel = Callable[[str], str | Source]  # for a target by its name
LANES = 8  # nodes of a line that a CPU computes at once


def lanes(device: Any) -> int:
    """The nodes of a line are a multiple of this."""
    return LANES if device.kind != "cuda" else launch.width(device)


def source(pair: Pair, flags: Flags, target: str) -> str | Source:
    """The source of the pair's kernel for a target."""
    parts = (pair.model.diffusion, pair.model.discount, pair.payoff.start, pair.payoff.finish,
             pair.payoff.observe_bridge)  # fmt: skip
    return _kept(pair, flags, target, tuple(map(fingerprint, parts)))


@cached
def _kept(pair: Pair, flags: Flags, target: str, prints: tuple[Any, ...]) -> str | Source:
    own = (*vars(pair).values(), pair.names, flags)
    return compiler.made(partial(_source, pair, flags), target, own, prints)


def _source(pair: Pair, flags: Flags, target: str) -> Source:
    model, payoff = pair.model, pair.payoff
    places: dict[str, Any] = {**pair.places, **dict(pair.fixed)}
    acc = len(offered(payoff.start, sample(payoff, pair.lengths), 0, (0.0,), 1.0))
    members = [
        Member("diffusion", model.diffusion, places, lengths={3: 2}),
        Member("discount", model.discount, places),
        Member("start", payoff.start, places, offered=4, lengths={2: 1}),
        Member("finish", payoff.finish, places, lengths={2: acc, 3: 1}),
    ]
    if flags.watched:
        lengths = {2: acc, 3: 1, 4: 1, 5: 3, 8: 1}
        members.append(
            Member("observe_bridge", payoff.observe_bridge, places, offered=9, lengths=lengths)
        )
    helpers = {
        name: function
        for module in (grid_loop, grid_terms)
        for name, function in vars(module).items()
        if isfunction(function) and name != "grid_loop"
    }
    constants: dict[str, Any] = {
        "flags": flags,
        "DAMPED": DAMPED,
        "PARTS": PARTS,
        "TINY": TINY,
        "MATURITY": pair.names.index("maturity"),
        **{name: k for names in (SLOTS, LINES, MARKS) for k, name in enumerate(names)},
    }
    if not TARGETS[target].gpu:
        constants |= {"LANES": LANES, "WIDTH": LANES}
    return compiler.source(
        grid_loop.grid_loop,
        members,
        target=target,
        precision="double",
        constants=constants,
        types=(Grid,),
        extra=compiler.accessors("row", len(pair.names)),
        helpers=helpers,
        apart=tuple(helpers),  # one function each: inlined, LLVM would take three times as long
    )


def kernel(pair: Pair, flags: Flags) -> Kernel:
    """The kernel of a pair, looked up once for many launches."""
    return cache(partial(source, pair, flags))


def walked(kernel: Kernel, fields: np.ndarray, grid: Grid, device: Any) -> Any:
    """The values of rows today at the nodes of their grids, shape (rows, nodes, pitch).

    `fields`, shape (columns, rows), has the columns of the pair; the arrays of `grid` are the
    host's, and it has no `work` yet.
    """
    rows, width = len(grid.xs), lanes(device)
    nodes = -(-grid.nodes // width) * width  # sweeps across take whole groups of log prices
    work = device.xp.zeros((rows, len(SLOTS), nodes * grid.pitch))
    named = ("xs", "left", "lines", "marks")
    on = {name: device.put(getattr(grid, name), f"grid {name}") for name in named}
    arguments = device.put(fields, "columns"), grid._replace(work=work, **on)
    launch.run(kernel, device, rows, arguments, name="grid")
    values = work[:, 0].reshape(rows, nodes, grid.pitch)
    return values[:, : grid.nodes]
