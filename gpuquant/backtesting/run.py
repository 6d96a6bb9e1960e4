"""The account: one launch of the back-test's kernel, from what is asked, its terms and its costs to
running sums and orders.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gpuquant.backtesting.kernels.build import CPU_COLUMNS, DETAILS, SUMS, TAILS, Kind
from gpuquant.backtesting.kernels.codes import CPU_BLOCK
from gpuquant.backtesting.kernels.flags import Flags
from gpuquant.backtesting.kernels.given import SHARED, RestingOrders
from gpuquant.backtesting.kernels.records import (
    Fill,
    Inputs,
    Job,
    Log,
    OrderStatus,
    Prices,
    RestingOrder,
    Source,
    Table,
)
from gpuquant.backtesting.no_cost import NoCost
from gpuquant.backtesting.price_paths import Paths
from gpuquant.backtesting.settings import GRIDDED, Margin, Size, Stops, word
from gpuquant.backtesting.signals import decode_signals
from gpuquant.costs.base import Cost
from gpuquant.data.adjustment import EXACT
from gpuquant.data.calendar import TRADING_DAYS
from gpuquant.data.columns import domains
from gpuquant.data.panel import Panel
from gpuquant.device import Device, launch, on_host
from gpuquant.errors import DataError
from gpuquant.pricing.kernels.launch import pack
from gpuquant.rules.base import Rule

NO_MARGIN = Margin()


@dataclass(frozen=True)
class Account:
    """One launch of the kernel: what is traded, how it fills and what it costs.

    Parameters
    ----------
    panel : Panel
    rule : type
        A rule, or the kind of array that `targets` is.
    parameters : dict of arrays, shape (rows,)
        Those of the rule and of the stops, a row for each combination.
    targets : array, optional
        Shape (bars, assets), or that of the resting orders; signals as `encode_signals`, with a few
        bars more.
    """

    panel: Panel
    rule: type[Rule]
    parameters: dict[str, np.ndarray]
    cost: Cost
    targets: np.ndarray | None
    fill: str
    cash: float
    size: Size = field(default_factory=Size)
    stops: Stops | None = None
    margin: Margin | None = None
    sequential_cash: bool = False
    market: np.ndarray | None = None
    detail: bool = True
    periods: float = TRADING_DAYS
    paths: Paths | None = None
    first_path: int = 0

    def wanted(self) -> np.ndarray | None:
        """The targets as the caller gave them, in float64."""
        if self.targets is None:
            return None
        targets: np.ndarray = on_host(self.targets, "targets")
        return targets if targets.dtype != np.int8 else decode_signals(targets[: self.panel.bars])

    @property
    def rows(self) -> int:
        """Rows of parameters."""
        return max((v.size for v in self.parameters.values()), default=1)

    @property
    def assets(self) -> int:
        """Assets of one account."""
        return len(self.panel.assets) if self.rule in SHARED else 1

    @property
    def columns(self) -> int:
        """Accounts."""
        return self.groups * self.rows

    @property
    def groups(self) -> int:
        """How many groups a row of parameters trades: assets, paths, or 1 with shared cash."""
        return len(self.panel.assets) // self.assets if self.paths is None else self.paths.paths

    def flags(self, held: Collection[str]) -> Flags:
        """The switches of the account's kernel, for a panel with the fields `held`."""
        stops, margin, size = self.stops, self.margin, self.size
        trails = "trailing" in self.parameters
        rates = () if margin is None else (margin.margin_rate, margin.cash_rate, margin.borrow_rate)

        def stops_say(name: str, choice: str) -> bool:
            return stops is not None and word(stops, name) == choice

        return Flags(
            signals=self.rule.decides == "side",
            targets=self.rule.decides == "units",
            sees_account=self.rule.sees_account(),
            priced=self.rule.priced,
            pyramiding=bool(size.pyramiding[0]),
            long_only=word(size, "direction") == "long",
            short_only=word(size, "direction") == "short",
            lots=bool(size.lot_size[0] > 0.0),
            partial_fills=bool(size.allow_partial_fills[0]),
            volumes="volume" in held
            and (size.max_participation_rate[0] < 1.0 or self.cost.uses_volume),
            stops=stops is not None,
            ranges={"high", "low"} <= set(held),
            close_only=stops_say("trigger", "close"),
            max_holding="max_holding_bars" in self.parameters,
            trails=trails,
            trails_close=trails and stops_say("trail_reference", "close"),
            entry_from_close=stops_say("entry_reference", "close"),
            entry_from_signal=stops_say("entry_reference", "signal"),
            entry_bar=stops is not None and bool(stops.entry_bar[0]),
            stops_slip=stops is None or bool(stops.slip_stops[0]),
            limits_slip=stops is not None and bool(stops.slip_limits[0]),
            margin=margin is not None and not margin.lock_short_proceeds[0],
            lock_short_proceeds=margin is not None and bool(margin.lock_short_proceeds[0]),
            sequential_cash=self.sequential_cash,
            allow_halts=self.panel.allow_halts,
            actions={"splits", "dividends"} <= set(held),
            delistings="delistings" in held,
            financing=any(rate[0] > 0.0 for rate in rates),
            resting_orders=self.rule is RestingOrders,
            benchmark=self.market is not None,
            detail=self.detail,
            keep_returns=self.detail,
            generated=self.paths is not None,
        )

    @property
    def kind(self) -> Kind:
        """The kernel it needs."""
        held = tuple(self.panel.kernel_fields())
        return Kind(
            self.rule,
            type(self.cost),
            self.assets,
            self.fill,
            word(self.size, "size_type"),
            self.flags(held),
            held,
            None
            if self.paths is None or self.paths.path_model is None
            else type(self.paths.path_model),
            0 if self.paths is None else self.panel.bars,
        )

    def fields(self) -> tuple[np.ndarray, np.ndarray]:
        """Every number a row reads, packed, and where each begins: the columns of rule and cost,
        the settings, the columns of a model.
        """
        size, margin = self.size, self.margin or NO_MARGIN
        numbers: dict[str, np.ndarray] = {
            f"rule {name}": self.parameters[name] for name in domains(self.rule)
        }
        numbers |= {f"cost {name}": value for name, value in self.cost.columns().items()}
        for name in GRIDDED:
            value = self.parameters.get(name, np.full(1, np.inf))
            # a stop that is not given is never met
            numbers[f"stop {name}"] = np.where(np.isnan(value), np.inf, value)
        for name in ("amount", "lot_size", "min_size", "max_participation_rate"):
            numbers[f"size {name}"] = getattr(size, name)
        for name in ("initial", "maintenance", "margin_rate", "cash_rate", "borrow_rate"):
            numbers[f"margin {name}"] = getattr(margin, name)
        if self.paths is not None and self.paths.path_model is not None:
            numbers |= {
                f"model {name}": value for name, value in self.paths.path_model.columns().items()
            }
        return pack(numbers, tuple(numbers), np.float64)

    @property
    def free(self) -> bool:
        """Whether trading costs nothing."""
        return isinstance(self.cost, NoCost)

    @property
    def origin(self) -> int:
        """The first bar that has a return: 0 where orders fill at the open of the bar that decided,
        otherwise 1.
        """
        return int(self.fill != "same_open")

    @property
    def market_returns(self) -> np.ndarray | None:
        """The benchmark's returns over the bars that have one."""
        return None if self.market is None else self.market[self.origin :]

    @property
    def years(self) -> np.ndarray:
        """Years from the previous bar to each bar, shape (bars,); on generated paths every step is
        1 / `periods`.
        """
        if self.paths is None:
            return self.panel.years
        steps = np.full(self.panel.bars, 1.0 / self.periods)
        steps[0] = 0.0
        return steps

    def run(
        self, device: Device, progress: Any = None, *, record: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Running sums (columns, sums), equity, orders, and statuses of resting orders.

        Equity and orders are written only with `record`, the number of orders of each column.
        """
        self._exact()
        resident = self.panel.to_device(device)
        fields, at = self.fields()
        xp = device.xp
        bars, count = self.panel.bars, self.columns
        first = np.zeros(count + 1, np.int64)
        if record is not None:
            first[1:] = np.cumsum(record)
        out = xp.empty((count, len(SUMS)))
        equity = xp.empty((count if record is not None else 1, bars if record is not None else 1))
        fills = xp.empty((len(Fill.__annotations__), max(int(first[-1]), 1)))
        inputs = self._inputs(device)
        arguments = (
            Job(self.assets, count, self.rows, bars, float(self.cash)),
            Table(device.put(fields, "fields"), device.put(at, "at")),
            Prices(
                resident.sums,
                resident.close,
                resident.traded if self.fill == "same_close" else resident.open,
                resident.extra,
                resident.left_padding,
                0,
            ),
            inputs,
            self._source(device),
            Log(record is not None, 0, equity, fills, device.put(first, "first fills")),
            out,
        )
        width = launch.width(device) if device.kind == "cuda" else CPU_COLUMNS
        units = -(-count // width)
        # bars that run in a tenth of a second; generating a bar takes longer than reading one
        quick = 5e6 if self.paths is None else 1e6
        chunk = max(1, min(int(quick / (width * bars)), units // (16 * device.threads)))
        launch.run(
            self.kind.source,
            device,
            units,
            arguments,
            name=f"back-test {self.rule.__name__}",
            chunk=chunk,
            progress=progress,
        )
        result = device.get(out, "sums")
        absent = DETAILS if not self.detail else TAILS if device.kind == "cuda" else ()
        result[:, [SUMS.index(name) for name in absent]] = np.nan
        return (
            result,
            device.get(equity, "equity"),
            np.ascontiguousarray(device.get(fills, "fills").T),
            np.ascontiguousarray(device.get(inputs.statuses, "order statuses").T),
        )

    def _inputs(self, device: Device) -> Inputs:
        """What the caller gave by bar or by order, years from bar to bar, and a benchmark."""
        listed, targets = np.full((1, len(RestingOrder.__annotations__)), np.nan), np.empty((1, 1))
        if self.targets is not None and self.rule is RestingOrders:
            listed = self.targets
        elif self.targets is not None:
            targets = self.targets.T
        statuses = np.zeros((len(OrderStatus.__annotations__), len(listed)))
        market = np.zeros(1)
        if self.market is not None:
            market = np.concatenate([self.market, np.zeros(CPU_BLOCK)])
        return Inputs(
            device.put(targets, "targets"),
            device.put(listed.T, "resting orders"),
            device.put(statuses, "order statuses"),
            device.put(self.years, "years"),
            device.put(market, "benchmark"),
        )

    def _source(self, device: Device) -> Source:
        """Where paths come from, if prices are made as the loop goes."""
        values, dt, tick, seed = np.zeros(1), 0.0, 1.0, 0
        if self.paths is not None:
            values, seed = self.paths.source, self.paths.seed
            dt, tick = float(self.paths.step), float(self.paths.tick)
        keys = np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)
        return Source(device.put(values, "source"), self.first_path, dt, tick, *keys)

    def _exact(self) -> None:
        """Refuse windows so long that sums of whole ticks would round."""
        whole = [name for name, domain in domains(self.rule).items() if domain.whole]
        own = [self.parameters[name] for name in whole]
        longest = max((float(v[np.isfinite(v)].max(initial=0.0)) for v in own), default=0.0)
        if self.panel.max_ticks * longest * longest >= EXACT:
            raise DataError(
                f"a window of {longest:.0f} bars is too long for exact sums: give prices "
                "with fewer decimals"
            )

    def of(self, column: int) -> Account:
        """The account of one column."""
        group, row = divmod(column, self.rows)
        if self.paths is not None:
            parameters = {
                k: v if v.size == 1 else v[row : row + 1] for k, v in self.parameters.items()
            }
            return replace(
                self,
                paths=replace(self.paths, paths=1),
                first_path=self.first_path + group,
                parameters=parameters,
            )
        names = slice(group * self.assets, (group + 1) * self.assets)
        whole = self.assets == len(self.panel.assets)
        targets = self.targets if self.targets is None or whole else self.targets[:, names].copy()
        parameters = {k: v if v.size == 1 else v[row : row + 1] for k, v in self.parameters.items()}
        return replace(
            self,
            panel=self.panel if whole else self.panel.columns(names),
            targets=targets,
            parameters=parameters,
        )
