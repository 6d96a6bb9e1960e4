"""Data sets to try things on, read from packages that carry them; nothing is downloaded."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from gpuquant.data.panel import Panel
from gpuquant.errors import missing, unknown

LOCAL = Path("data")  # `make data` leaves copies here, for a machine without the package


def us20() -> Panel:
    """Daily closes of 20 large US stocks, 1990-01-02 to 2022-12-28, as shipped by skfolio.

    The names are the survivors of their time: a back-test on them flatters any rule that holds
    stocks.
    """
    local = Path(os.environ.get("GPUQUANT_DATA", LOCAL)) / "us20.parquet"
    if local.exists():
        return Panel.read(local)
    spec = importlib.util.find_spec("skfolio")  # its file, without importing the package
    if spec is None or spec.origin is None:
        raise missing("skfolio (whose file us20 is)", "opt")
    return Panel.read(Path(spec.origin).parent / "datasets" / "data" / "sp500_dataset.csv.gz")


SETS: dict[str, Callable[[], Panel]] = {"us20": us20}


def load(name: str) -> Panel:
    """The data set called `name`; `us20` needs the `opt` extra."""
    if name not in SETS:
        raise unknown("data set", name, SETS)
    return SETS[name]()


__all__ = ["load", "us20"]
