"""The formula walk: a closed form, and its Greeks, of one row after the other, one body for any
device. The formula is the trace of what the payoff's and the model's own formulas do to arrays.
"""
# mypy: disable-error-code="no-untyped-def, name-defined"
# ruff: noqa: F821

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gpuquant.compiler import kernel as compiler
from gpuquant.compiler.kernel import Source
from gpuquant.compiler.trace import Trace, Traced, Untraceable
from gpuquant.device import launch

Kernel = Callable[[str], str | Source]  # for a target by its name


def walk(unit, lane0, fields, out):
    """The results of a block of rows."""
    first = unit * WIDTH + lane0
    for lane in lanes():
        store_results(out, 0, first + lane, formula(load_row(fields, 0, first + lane)))


def source(
    formula: Callable[[dict[str, Traced]], Sequence[Any] | None], names: Sequence[str], target: str
) -> str | Source:
    """The source of the kernel for a formula of these columns. Raises what Python raises where the
    formula cannot be traced, and Untraceable where there is none.
    """
    trace = Trace()
    results = formula({name: trace.do(f"r[{k}]") for k, name in enumerate(names)})
    if results is None:
        raise Untraceable("there is no formula")
    made = compiler.source(
        walk,
        [],
        target=target,
        precision="double",
        constants={},
        extra=[
            *compiler.accessors("row", len(names)),
            *compiler.accessors("results", len(results)),
            trace.function("formula", list(results)),
        ],
    )
    return made if target == "python" else made.text()


def results(
    kernel: Kernel, columns: Sequence[Any], outputs: int, n: int, device: Any, *tables: Any
) -> Any:
    """The results of `n` rows, shape (outputs, n), on one thread of a CPU; columns of length 1 or
    n. The kernel takes the columns, `tables` on the device, and the results.
    """
    xp, width = device.xp, launch.width(device)
    blocks = -(-n // width)
    fields = xp.empty((len(columns), blocks * width))
    for k, values in enumerate(columns):
        fields[k, :n] = values
    fields[:, n:] = 1.0
    out = xp.empty((outputs, blocks * width))
    launch.run(kernel, device, blocks, (fields, *tables, out), name="formula", chunk=blocks)
    return out[:, :n]
