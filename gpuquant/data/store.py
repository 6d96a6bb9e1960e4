"""Store: prices in a Parquet file that is larger than memory, read a few assets at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant import disk
from gpuquant.data.calendar import Dated, dates_of
from gpuquant.data.panel import Panel
from gpuquant.errors import DataError, InputError, unknown

BUDGET = 256.0  # MB
COPIES = 8  # of each close in a back-test: the file's, the panel's, ticks, sums and their padding


@dataclass(frozen=True)
class Store(Dated):
    """Closes of many assets in one Parquet file, a column for each beside that of the dates.

    Parameters
    ----------
    path : path
        Written by `Panel.to_parquet`, or by anything that writes such columns.
    megabytes : float
        Memory that a group of assets may take while it is traded.
    allow_halts : bool
        Take a missing price for a halt.

    Raises
    ------
    DataError
        The file is absent, is not Parquet, or has no column of dates.
    """

    path: str | Path
    megabytes: float = BUDGET
    allow_halts: bool = False

    def __post_init__(self) -> None:
        disk.present(self.path, "price file")
        if not (np.isfinite(self.megabytes) and self.megabytes > 0):
            raise InputError(f"megabytes = {self.megabytes!r}: must be finite and > 0")
        _ = self.dates

    @cached_property
    def _columns(self) -> tuple[str, tuple[str, ...]]:
        """The column of dates, and those of the assets."""
        import pyarrow.parquet as parquet
        import pyarrow.types as kinds

        try:
            schema = parquet.read_schema(self.path)
        except (OSError, ValueError) as failure:
            raise DataError(f"price file {self.path} cannot be read: {failure}") from failure
        times = [
            field.name
            for field in schema
            if kinds.is_timestamp(field.type) or kinds.is_date(field.type)
        ]
        if not times:
            raise DataError(f"price file {self.path} has no column of dates")
        strange = [
            field.name
            for field in schema
            if field.name not in times
            and not (
                kinds.is_floating(field.type)
                or kinds.is_integer(field.type)
                or kinds.is_decimal(field.type)
            )
        ]
        if strange:
            raise DataError(
                f"price file {self.path}: column {strange[0]!r} holds no numbers; a store "
                "has closes alone, a column for each asset: Panel.read takes other tables"
            )
        return times[0], tuple(
            field.name
            for field in schema
            if field.name != times[0]
            and (
                kinds.is_floating(field.type)
                or kinds.is_integer(field.type)
                or kinds.is_decimal(field.type)
            )
        )

    @property
    def assets(self) -> tuple[str, ...]:
        """Their names, in the file's order."""
        return self._columns[1]

    def _read(self, columns: list[str]) -> Any:
        """Some columns of the file, their pages held to their checksums."""
        import pyarrow.parquet as parquet

        try:
            return parquet.read_table(
                self.path, columns=columns, memory_map=True, page_checksum_verification=True
            )
        except (OSError, ValueError) as failure:
            raise DataError(
                f"price file {self.path} cannot be read: {str(failure).splitlines()[0]}"
            ) from failure

    @cached_property
    def _dated(self) -> tuple[np.ndarray, str | None]:
        name = self._columns[0]
        index, zone = dates_of(self._read([name]).column(name).to_pandas())
        return index.to_numpy(), zone

    @cached_property
    def dates(self) -> np.ndarray:
        """The dates of all bars."""
        return self._dated[0]

    @cached_property
    def timezone(self) -> str | None:
        """The time zone of the dates, which are UTC."""
        return self._dated[1]

    @property
    def bars(self) -> int:
        """Number of dates."""
        return len(self.dates)

    def extra_fields(self) -> dict[str, np.ndarray]:
        """What it holds besides closes: nothing."""
        return {}

    def kernel_fields(self) -> dict[str, np.ndarray]:
        """What a kernel reads of each bar besides closes: nothing."""
        return {}

    def panel(self, names: Any) -> Panel:
        """The panel of some assets."""
        for name in names:
            if name not in self.assets:
                raise unknown("asset", name, self.assets)
        table = self._read(list(names))
        close = np.stack([table.column(name).to_numpy() for name in names], axis=1).astype(
            np.float64
        )
        return Panel(
            close, self.dates, tuple(names), allow_halts=self.allow_halts, timezone=self.timezone
        )

    def columns(self, names: slice) -> Panel:
        """The panel of assets by their numbers."""
        return self.panel(self.assets[names])

    def asset(self, name: str) -> int:
        """The number of an asset."""
        if name not in self.assets:
            raise unknown("asset", name, self.assets)
        return self.assets.index(name)

    def groups(self) -> Iterator[slice]:
        """Neighbouring assets that fit into memory together."""
        most = max(1, int(self.megabytes * 1e6 / (8.0 * COPIES * self.bars)))
        for first in range(0, len(self.assets), most):
            yield slice(first, min(first + most, len(self.assets)))
