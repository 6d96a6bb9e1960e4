"""The account: one launch of the back-test walk, from what is wished, its terms and its costs to
running sums and orders.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gpuquant.backtesting.kernels import resting_orders
from gpuquant.backtesting.kernels.build import (
    BLOCK,
    CPU_COLUMNS,
    DEALT,
    DETAILS,
    FLAGS,
    NUMBERS,
    SHARED,
    SUMS,
    TAILS,
    Amounts,
    Kind,
    Tickets,
    Weights,
)
from gpuquant.backtesting.price_paths import Paths
from gpuquant.backtesting.settings import Margin, Size, Stops, word
from gpuquant.backtesting.signals import decoded
from gpuquant.costs.base import Cost
from gpuquant.data.columns import domains
from gpuquant.data.panel import EXACT, Panel
from gpuquant.device import Place, choose, launch
from gpuquant.errors import DataError
from gpuquant.pricing.kernels.build import pack
from gpuquant.rules.base import Rule


@dataclass(frozen=True)
class NoCost(Cost):
    """Trading for nothing."""

    abstract = True

    @staticmethod
    def fill(c, i, price):
        return price

    @staticmethod
    def charge(c, i, value):
        return 0.0 * value

    @staticmethod
    def afford(c, i, cash):
        return cash


NO_MARGIN = Margin()


@dataclass(frozen=True)
class Account:
    """One launch of the walk: what is traded, how it fills and what it costs.

    Parameters
    ----------
    panel : Panel
    rule : type
        A rule, or the kind of array that `wishes` is.
    parameters : dict of arrays, shape (rows,)
        Those of the rule and of the stops, a row for each combination.
    wishes : array, optional
        Shape (bars, assets), or of the tickets; signals as `coded`, with a few bars more.
    """

    panel: Panel
    rule: type[Rule]
    parameters: dict[str, np.ndarray]
    cost: Cost
    wishes: np.ndarray | None
    fill: str
    cash: float
    size: Size = field(default_factory=Size)
    stops: Stops | None = None
    margin: Margin | None = None
    in_order: bool = False
    market: np.ndarray | None = None
    detail: bool = True
    periods: float = 252.0
    paths: Paths | None = None
    first_path: int = 0

    def wanted(self) -> np.ndarray | None:
        """The wishes as the caller gave them, in float64."""
        return (
            self.wishes
            if self.wishes is None or self.wishes.dtype != np.int8
            else decoded(self.wishes[: self.panel.bars])
        )

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
        """What each row of parameters is walked on: assets, or paths, or the panel as a whole."""
        return len(self.panel.assets) // self.assets if self.paths is None else self.paths.paths

    @property
    def kind(self) -> Kind:
        """The kernel it needs."""
        held = self.panel.walked()
        stops, margin, size = self.stops, self.margin, self.size
        rates = () if margin is None else (margin.financing, margin.interest, margin.borrow)
        flags = {
            "SIGNALS": self.rule is not Weights and self.rule is not Amounts,
            "TARGETS": self.rule is Amounts,
            "ADDS": word(size, "add") == "yes",
            "STOPS": stops is not None,
            "RANGES": {"high", "low"} <= set(held),
            "CLOSE_ONLY": stops is not None and word(stops, "watch") == "close",
            "TIMED": "bars" in self.parameters,
            "TRAILS": "trailing" in self.parameters,
            "FOLLOW_CLOSE": stops is not None
            and "trailing" in self.parameters
            and word(stops, "follow") == "close",
            "BASE_CLOSE": stops is not None and word(stops, "base") == "close",
            "BASE_SIGNAL": stops is not None and word(stops, "base") == "signal",
            "ENTRY_BAR": stops is not None and word(stops, "entry_bar") == "yes",
            "STOP_SLIPS": stops is None or word(stops, "slippage") != "no",
            "GOAL_SLIPS": stops is not None and word(stops, "slippage") == "all",
            "LONG_ONLY": word(size, "sides") == "long",
            "SHORT_ONLY": word(size, "sides") == "short",
            "LEVERED": margin is not None and word(margin, "locked") == "no",
            "LOCKED": margin is not None and word(margin, "locked") == "yes",
            "LOTS": bool(size.lot[0] > 0.0),
            "PARTIAL": word(size, "partial") == "yes",
            "VOLUMES": "volume" in held and (size.participation[0] < 1.0 or self.cost.uses_volume),
            "IN_ORDER": self.in_order,
            "HALTS": self.panel.halts,
            "ACTIONS": {"splits", "dividends"} <= set(held),
            "DELISTS": "delistings" in held,
            "CARRIES": any(rate[0] > 0.0 for rate in rates),
            "TICKETS": self.rule is Tickets,
            "BENCH": self.market is not None,
            "DETAIL": self.detail,
            "TAILS": self.detail,
            "PATHS": self.paths is not None,
            "PRICED": self.rule.priced,
        }
        model = None if self.paths is None or self.paths.model is None else type(self.paths.model)
        woven = 0 if self.paths is None else self.panel.bars
        return Kind(
            self.rule,
            type(self.cost),
            self.assets,
            self.fill,
            word(size, "of"),
            tuple(f for f in FLAGS if flags[f]),
            tuple(held),
            model,
            woven,
        )

    def fields(self) -> tuple[np.ndarray, np.ndarray]:
        """Every number a row reads, packed, and where each begins."""
        size, margin = self.size, self.margin or NO_MARGIN
        numbers: dict[str, np.ndarray] = {
            f"rule {name}": self.parameters[name] for name in domains(self.rule)
        }
        numbers |= {f"cost {name}": value for name, value in self.cost.columns().items()}
        for name in NUMBERS[Stops]:
            value = self.parameters.get(name, np.full(1, np.inf))
            numbers[f"stop {name}"] = np.where(
                np.isnan(value), np.inf, value
            )  # a stop that is not given is never met
        numbers |= {f"size {name}": getattr(size, name) for name in NUMBERS[Size]}
        numbers |= {f"margin {name}": getattr(margin, name) for name in NUMBERS[Margin]}
        if self.paths is not None and self.paths.model is not None:
            numbers |= {
                f"model {name}": value for name, value in self.paths.model.columns().items()
            }
        return pack(numbers, tuple(numbers), np.float64)

    @property
    def free(self) -> bool:
        """Whether trading costs nothing."""
        return isinstance(self.cost, NoCost)

    @property
    def origin(self) -> int:
        """The bar from whose close the first return is measured; with fills at the same bar's
        open that is before the first.
        """
        return int(self.fill != "same_open")

    @property
    def market_returns(self) -> np.ndarray | None:
        """The benchmark's returns over the bars that have one."""
        return None if self.market is None else self.market[self.origin :]

    @property
    def years(self) -> np.ndarray:
        """Years from the bar before to each bar, shape (bars,); of made-up paths a bar's is that
        of their model.
        """
        if self.paths is None:
            return self.panel.years
        steps = np.full(self.panel.bars, 1.0 / self.periods)
        steps[0] = 0.0
        return steps

    def run(
        self, place: Place, progress: Any = None, *, record: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Running sums (columns, sums), and with `record` (what each column deals) equity and
        orders too; the fates of tickets.
        """
        self._exact()
        resident = self.panel.on(place)
        fields, at = self.fields()
        xp = place.xp
        bars, count = self.panel.bars, self.columns
        at_order = (
            np.concatenate([[0], np.cumsum(record)]).astype(np.int64)
            if record is not None
            else np.zeros(count + 1, np.int64)
        )
        out = xp.empty((count, len(SUMS)))
        equity = xp.empty((count if record is not None else 1, bars if record is not None else 1))
        orders = xp.empty((max(int(at_order[-1]), 1), DEALT))
        listed = (
            self.wishes
            if self.rule is Tickets and self.wishes is not None
            else np.full((1, len(resting_orders.TICKET)), np.nan)
        )
        wishes = (
            np.empty((1, 1))
            if self.wishes is None or self.rule is Tickets
            else np.ascontiguousarray(self.wishes.T)
        )
        fates = place.put(np.zeros((len(listed), len(resting_orders.FATE))), "fates")
        fill = resident.traded if self.fill == "same_close" else resident.open
        market = (
            np.zeros(1) if self.market is None else np.concatenate([self.market, np.zeros(BLOCK)])
        )
        source, dt, tick, seed = (
            (np.zeros(1), 0.0, 1.0, 0)
            if self.paths is None
            else (self.paths.source, self.paths.step, self.paths.tick, self.paths.seed)
        )
        arguments = (
            self.assets,
            count,
            self.rows,
            bars,
            resident.lead,
            place.put(fields, "fields"),
            place.put(at, "at"),
            resident.sums,
            resident.close,
            fill,
            resident.more,
            place.put(wishes, "wishes", None),
            place.put(listed, "tickets"),
            fates,
            place.put(self.years, "years"),
            place.put(market, "market"),
            place.put(source, "source"),
            self.first_path,
            float(dt),
            float(tick),
            np.uint32(seed & 0xFFFFFFFF),
            np.uint32(seed >> 32),
            float(self.cash),
            out,
            record is not None,
            equity,
            orders,
            place.put(at_order, "order_at"),
        )
        width = launch.width(place) if place.kind == "cuda" else CPU_COLUMNS
        units = -(-count // width)
        quick = (
            5e6 if self.paths is None else 1e6
        )  # bars of all columns in a tenth of a second; drawing one takes longer than reading it
        chunk = max(1, min(int(quick / (width * bars)), units // (16 * place.threads)))
        launch.run(self.kind.source, place, units, arguments, chunk=chunk, progress=progress)
        found = place.get(out, "sums")
        absent = DETAILS if not self.detail else TAILS if place.kind == "cuda" else ()
        found[:, [SUMS.index(name) for name in absent]] = np.nan
        return (
            found,
            place.get(equity, "equity"),
            place.get(orders, "orders"),
            place.get(fates, "fates"),
        )

    def _exact(self) -> None:
        """Refuse windows so long that sums of whole ticks would round."""
        own = [self.parameters[name] for name in domains(self.rule)]
        longest = max((float(v[np.isfinite(v)].max(initial=0.0)) for v in own), default=0.0)
        if self.panel.highest * longest * longest >= EXACT:
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
        wishes = (
            self.wishes
            if self.wishes is None or whole
            else np.ascontiguousarray(self.wishes[:, names])
        )
        parameters = {k: v if v.size == 1 else v[row : row + 1] for k, v in self.parameters.items()}
        return replace(
            self,
            panel=self.panel if whole else self.panel.columns(names),
            wishes=wishes,
            parameters=parameters,
        )


def dealt(sums: np.ndarray) -> np.ndarray:
    """How many orders were filled or refused in each column."""
    return np.asarray(sums[:, SUMS.index("orders")] + sums[:, SUMS.index("rejects")]).astype(
        np.int64
    )


def record(account: Account, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Walk the chosen columns again, keeping equity and orders: (columns, bars), (orders, 8),
    orders per column.

    On the CPU, once to count the orders and once to keep them, wherever the first run was.
    """
    if (
        isinstance(account.panel, Panel)
        and len(which) == account.columns
        and (which == np.arange(account.columns)).all()
    ):
        place = choose("cpu")
        every = dealt(account.run(place)[0])
        _, equity_all, orders_all, _ = account.run(place, record=every)
        return equity_all, orders_all[: every.sum()], every
    equity, orders, numbers = [], [], []
    for column in which:
        one, place = account.of(int(column)), choose("cpu:1")
        number = dealt(one.run(place)[0])
        _, curve, fills, _ = one.run(place, record=number)
        fills = fills[: number[0]].copy()
        fills[:, 1] += (
            0 if account.paths is not None else int(column) // account.rows * account.assets
        )
        equity.append(curve[0])
        orders.append(fills)
        numbers.append(number[0])
    return np.array(equity), np.concatenate(orders), np.array(numbers)
