"""The Fourier walk: the integrands of many rows along their paths in the complex plane, one body
for any device.

`bent` gives the points of a path, and `plain` the control variate that is subtracted there. Both
are formulas that arrays and kernels share. The kernel takes a block of rows, one row per lane, from
node to node of an integration rule. No array of size rows x nodes is stored.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, name-defined"
# ruff: noqa: F821

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.functions import fingerprint
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.member import Member
from gpuquant.compiler.targets import TARGETS
from gpuquant.data.columns import cached
from gpuquant.device import launch
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff

LANES = 16  # rows that a CPU computes at once: an integral of one row takes them all
Kernel = Callable[[str], str | Source]  # for a target by its name
OWN = (
    "_forward",
    "_unit",
    "_variance",
    "_scale",
    "_bend",
    "_end",
)  # what a row has besides its columns


def bent(x: Any, bend: Any, scale: Any, xp: Any) -> tuple[Any, Any]:
    """The point u of the path at x, and du/dx: u = c (sinh(x + i w) - i sin w), with c the scale
    and sin w the bend.
    """
    grown = xp.exp(x)
    sinh, cosh = 0.5 * (grown - 1.0 / grown), 0.5 * (grown + 1.0 / grown)
    along, aside = scale * xp.sqrt(1.0 - bend * bend), 1j * scale * bend
    return along * sinh + aside * (cosh - 1.0), along * cosh + aside * sinh


def plain(u: Any, variance: Any, xp: Any) -> Any:
    """The characteristic function of the control variate, a lognormal, at u - i/2."""
    return xp.exp(-0.5 * variance * (u * u + 0.25))


def at_node(r, u, slope, phi):
    """The integrand at a point, where the characteristic function is `phi`, and the square of its
    size.
    """
    base = plain(u, r[VARIANCE], 0)
    weight = transform(r, u, r[FORWARD], 0) * (slope * (1.0 / r[UNIT]))
    wave = (phi - base) * weight
    size = phi.real * phi.real + phi.imag * phi.imag + base.real * base.real + base.imag * base.imag
    return wave.real, size * (weight.real * weight.real + weight.imag * weight.imag)


def walk(unit, lane0, fields, points, offset, out):
    """Sum a block of rows over the nodes x = end (k + offset) / points, k = 0, 1, ...: the
    integrand into `out[0]`, the square of its size into `out[1]`.
    """
    first = unit * WIDTH + lane0
    total = array((2, LANES), f64)
    for lane in lanes():
        total[0, lane] = 0.0
        total[1, lane] = 0.0
    for node in range(points):
        share = (f64(node) + offset) / f64(points)
        for lane in lanes():
            r = load_row(fields, 0, first + lane)
            u, slope = bent(r[END] * share, r[BEND], r[SCALE], 0)
            phi = characteristic(r, u - 0.5j, r[MATURITY], 0, 0)
            wave, size = at_node(r, u, slope, phi)
            total[0, lane] += wave
            total[1, lane] += size
    for lane in lanes():
        out[0, first + lane] = total[0, lane]
        out[1, first + lane] = total[1, lane]


def walk_of_mean(unit, lane0, fields, spans, lefts, dates, points, offset, out):
    """The same for options on a geometric mean, whose characteristic function goes from the last
    date back to the first: the years between them and the weights left are `spans` and `lefts`.
    """
    first = unit * WIDTH + lane0
    total = array((2, LANES), f64)
    now = array((6, LANES), f64)  # the point, the product of the factors, the slope
    for lane in lanes():
        total[0, lane] = 0.0
        total[1, lane] = 0.0
    for node in range(points):
        share = (f64(node) + offset) / f64(points)
        for lane in lanes():
            r = load_row(fields, 0, first + lane)
            u, slope = bent(r[END] * share, r[BEND], r[SCALE], 0)
            now[0, lane] = u.real
            now[1, lane] = u.imag - 0.5
            now[2, lane] = 1.0
            now[3, lane] = 0.0
            now[4, lane] = 0.0
            now[5, lane] = 0.0
        for k in range(dates):
            for lane in lanes():
                r = load_row(fields, 0, first + lane)
                z = complex(now[0, lane], now[1, lane]) * lefts[k, first + lane]
                t = spans[k, first + lane]
                if AFFINE:
                    factor, moved = affine(r, z, t, complex(now[4, lane], now[5, lane]), 0, 0)
                    now[4, lane] = moved.real
                    now[5, lane] = moved.imag
                else:
                    factor = characteristic(r, z, t, 0, 0)
                product = complex(now[2, lane], now[3, lane]) * factor
                now[2, lane] = product.real
                now[3, lane] = product.imag
        for lane in lanes():
            r = load_row(fields, 0, first + lane)
            u, slope = bent(r[END] * share, r[BEND], r[SCALE], 0)
            z = complex(now[0, lane], now[1, lane])
            grown = z * complex(0.0, -r[CONVEXITY])
            if AFFINE:
                grown = grown + complex(now[4, lane], now[5, lane]) * r[STATE]
            phi = complex(now[2, lane], now[3, lane]) * cexp64(grown)
            wave, size = at_node(r, u, slope, phi)
            total[0, lane] += wave
            total[1, lane] += size
    for lane in lanes():
        out[0, first + lane] = total[0, lane]
        out[1, first + lane] = total[1, lane]


def source(
    model: type[Model], payoff: type[Payoff], names: tuple[str, ...], target: str
) -> str | Source:
    """The source of a pair's kernel; MemberError where its formulas are more than a kernel
    understands.
    """
    return _source(
        model,
        payoff,
        names,
        target,
        tuple(fingerprint(f) for f in (model.characteristic, model.affine, payoff.transform)),
    )


@cached
def _source(
    model: type[Model], payoff: type[Payoff], names: tuple[str, ...], target: str, prints: Any
) -> str | Source:
    places: dict[str, Any] = {name: k for k, name in enumerate((*names, *OWN))}
    of = getattr(model, "mean_of", None)
    law = of or model
    affine = law.affine is not Model.affine and of is not None
    members = [
        Member("bent", bent, {}, formula=True),
        Member("plain", plain, {}, formula=True, waves=("u",)),
        Member("affine", law.affine, places, formula=True, waves=("u", "slope"))
        if affine
        else Member("characteristic", law.characteristic, places, formula=True, waves=("z",)),
        Member("transform", payoff.transform, places, formula=True, waves=("u",)),
    ]
    constants: dict[str, Any] = {"MATURITY": places["maturity"], "AFFINE": affine}
    constants |= {name[1:].upper(): places[name] for name in OWN}
    if of is not None:
        state = places[law.affine_state] if affine else 0
        constants |= {"CONVEXITY": places["_convexity"], "STATE": state}
    if not TARGETS[target].gpu:
        constants |= {"LANES": LANES, "WIDTH": LANES}
    made = compiler.source(
        walk if of is None else walk_of_mean,
        members,
        target=target,
        precision="double",
        constants=constants,
        extra=compiler.accessors("row", len(places)),
        helpers={"at_node": at_node},
    )
    return made if target == "python" else made.text()


def sums(kernel: Kernel, columns: dict[str, Any], points: int, offset: float, device: Any) -> Any:
    """The sums of every row over the nodes, shape (2, n): of the integrand and of its size squared.

    `kernel(target)` is a source for the names of `columns`, each of shape (n,), the last of them
    those of OWN; of options on a mean `_spans` and `_lefts`, of shape (n, dates), are beside them.
    """
    xp = device.xp
    n = len(columns["_end"])
    width = LANES if device.kind != "cuda" else launch.width(device)
    blocks = -(-n // width)
    single = [values for values in columns.values() if values.ndim == 1]
    fields = xp.empty((len(single), blocks * width))
    for k, values in enumerate(single):
        fields[k, :n] = values
    fields[:, n:] = 1.0
    out = xp.empty((2, blocks * width))
    arguments: tuple[Any, ...] = (np.int64(points), np.float64(offset), out)
    if "_spans" in columns:
        dates = columns["_spans"].shape[1]
        lists = xp.zeros((2, dates, blocks * width))
        lists[0, :, :n], lists[1, :, :n] = columns["_spans"].T, columns["_lefts"].T
        arguments = (lists[0], lists[1], np.int64(dates), *arguments)
    launch.run(kernel, device, blocks, (fields, *arguments), name="fourier", chunk=blocks)
    return out[:, :n]
