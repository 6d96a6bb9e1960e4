"""How long does a kernel take to compile, against numba on the same source, and how long to load
where it is kept?
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.common import Row, seconds

ROUNDS = 5


def kernels() -> dict[str, Callable[[], Any]]:
    """What asks for one kernel each."""
    import pandas as pd

    import gpuquant as gq

    close = pd.DataFrame(
        np.round(
            100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.02, (300, 2)), axis=0)),
            2,
        ),
        index=pd.bdate_range("2020-01-01", periods=300),
        columns=["A", "B"],
    )
    asian = gq.payoffs.Asian(option_type="call", strike=100.0, maturity=1.0, fixings=12)
    return {
        "price": lambda: gq.price(
            asian,
            gq.models.BlackScholes(spot=100.0, rate=0.0, volatility=0.2),
            paths=256,
            engine="monte_carlo",
            precision="double",
            device="cpu:1",
        ),
        "back-test": lambda: gq.backtest(
            close,
            gq.rules.MovingAverageCross(fast=3, slow=range(5, 8)),
            costs=gq.costs.Proportional(rate=0.001),
            device="cpu:1",
        ),
    }


def asked(work: Callable[[], Any]) -> tuple[str, tuple[Any, ...]]:
    """The source of the kernel that some work runs, and its arguments."""
    from gpuquant.compiler import build

    found, real = [], build.tile

    def noting(text: str, arguments: tuple[Any, ...]) -> Callable[[int, int], None]:
        found.append((text, arguments))
        return real(text, arguments)

    build.tile = noting
    try:
        work()
    finally:
        build.tile = real
    return found[-1]


def run() -> list[Row]:
    """Medians of rounds in which both compile the same source anew."""
    from gpuquant.compiler import build
    from tests.compiler.with_numba import with_numba

    rows = []
    for name, work in kernels().items():
        text, arguments = asked(work)
        copies = tuple(a.copy() if isinstance(a, np.ndarray) else a for a in arguments)
        build.tile(text, arguments)(0, 1)
        with_numba(text)(0, 1, *copies)
        for ours, other in zip(arguments, copies, strict=True):
            if isinstance(ours, np.ndarray) and ours.dtype.kind == "f":
                scale = np.abs(other[np.isfinite(other)]).max(initial=1e-300)
                np.testing.assert_allclose(ours, other, rtol=1e-9, atol=1e-12 * scale)
        pairs = []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as empty, changed("GPUQUANT_CACHE", empty):
                build._machine_code.cache_clear()
                # B023: the lambdas are called at once
                cold = seconds(lambda: build.tile(text, arguments)(0, 1))  # noqa: B023
                build._machine_code.cache_clear()
                kept = seconds(lambda: build.tile(text, arguments)(0, 1))  # noqa: B023
            with_numba.cache_clear()
            slow = seconds(lambda: with_numba(text)(0, 1, *copies))  # noqa: B023
            pairs.append((cold, kept, slow))
        cold, kept, numba = (statistics.median(column) for column in zip(*pairs, strict=True))
        detail = (
            f"{cold:.2f} s, numba {numba:.2f} s, median of {ROUNDS}; with the rounds' ratios "
            f"{min(c[2] / c[0] for c in pairs):.1f} to {max(c[2] / c[0] for c in pairs):.1f}"
        )
        rows.append(
            Row(
                f"a {name}'s kernel compiled for a CPU, against numba",
                statistics.median(c[2] / c[0] for c in pairs),
                "x",
                4.0,
                True,
                detail,
            )
        )
        rows.append(
            Row(f"a {name}'s kernel loaded where it is kept", kept, "s", 0.05, False, "on a CPU")
        )
    return [*rows, *_for_a_gpu()]


def _for_a_gpu() -> list[Row]:
    from gpuquant.compiler import build
    from gpuquant.models import Bates, BlackScholes, Heston
    from gpuquant.payoffs import Asian, Autocallable, Barrier
    from gpuquant.pricing.kernels.build import source
    from gpuquant.pricing.pairs import pair
    from tests import ptx

    took, kept = [], []
    for model, payoff in ((BlackScholes, Asian), (Heston, Barrier), (Bates, Autocallable)):
        text, kinds = source(pair(model, payoff), "cuda"), ptx.pricing("single")
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as empty, changed("GPUQUANT_CACHE", empty):
                for times in (took, kept):
                    build.ptx.cache_clear()
                    # B023: the lambda is called at once
                    times.append(seconds(lambda: build.ptx(text, kinds)))  # noqa: B023
    detail = (
        f"{min(took):.2f} to {max(took):.2f} s; Asian under Black-Scholes, barrier under "
        "Heston, autocallable under Bates"
    )
    return [
        Row(
            "a kernel compiled to PTX, without a GPU",
            statistics.median(took),
            "s",
            None,
            False,
            detail,
        ),
        Row(
            "a kernel's PTX loaded where it is kept",
            statistics.median(kept),
            "s",
            0.05,
            False,
            "before the driver has it",
        ),
    ]


@contextmanager
def changed(name: str, value: str) -> Iterator[None]:
    """A variable of the environment, for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
