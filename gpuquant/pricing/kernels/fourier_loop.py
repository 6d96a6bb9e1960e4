"""The Fourier walk: the integrands of many rows along their paths in the complex plane, one body
for any device.

`bent` gives the points of a path, and `plain` the control variate that is subtracted there. Both
are formulas that arrays and kernels share. The kernel takes a block of rows, one row per lane, from
node to node of an integration rule. No array of size rows x nodes is stored.
"""
# mypy: disable-error-code="no-untyped-def, name-defined"
# ruff: noqa: F821

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.functions import fingerprint
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.member import Member
from gpuquant.data.columns import cached
from gpuquant.device import launch
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff

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
            base = plain(u, r[VARIANCE], 0)
            weight = transform(r, u, r[FORWARD], 0) * (slope * (1.0 / r[UNIT]))
            wave = (phi - base) * weight
            size = (
                phi.real * phi.real
                + phi.imag * phi.imag
                + base.real * base.real
                + base.imag * base.imag
            )
            total[0, lane] += wave.real
            total[1, lane] += size * (weight.real * weight.real + weight.imag * weight.imag)
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
        (fingerprint(model.characteristic), fingerprint(payoff.transform)),
    )


@cached
def _source(
    model: type[Model], payoff: type[Payoff], names: tuple[str, ...], target: str, prints: Any
) -> str | Source:
    places: dict[str, Any] = {name: k for k, name in enumerate((*names, *OWN))}
    members = [
        Member("bent", bent, {}, formula=True),
        Member("plain", plain, {}, formula=True, waves=("u",)),
        Member("characteristic", model.characteristic, places, formula=True, waves=("z",)),
        Member("transform", payoff.transform, places, formula=True, waves=("u",)),
    ]
    constants = {"MATURITY": places["maturity"], **{name[1:].upper(): places[name] for name in OWN}}
    made = compiler.source(
        walk,
        members,
        target=target,
        precision="double",
        constants=constants,
        extra=compiler.accessors("row", len(places)),
    )
    return made if target == "python" else made.text()


def sums(kernel: Kernel, columns: dict[str, Any], points: int, offset: float, device: Any) -> Any:
    """The sums of every row over the nodes, shape (2, n): of the integrand and of its size squared.

    `kernel(target)` is a source for the names of `columns`, each of shape (n,), the last of them
    those of OWN.
    """
    xp = device.xp
    n, width = len(columns["_end"]), launch.width(device)
    blocks = -(-n // width)
    fields = xp.empty((len(columns), blocks * width))
    for k, values in enumerate(columns.values()):
        fields[k, :n] = values
    fields[:, n:] = 1.0
    out = xp.empty((2, blocks * width))
    arguments = (fields, np.int64(points), np.float64(offset), out)
    launch.run(kernel, device, blocks, arguments, name="fourier", chunk=blocks)
    return out[:, :n]
