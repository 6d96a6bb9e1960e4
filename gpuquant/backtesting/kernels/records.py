"""What the bar loop keeps and reads, with names: `account.cash`, `position.units`, `prices.close`.

A `Record` is changed bar by bar and lives in registers. A NamedTuple is a bundle: its names keep
what they stand for, while the arrays and records in it may be written.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np

from gpuquant.compiler.records import Numbers, Record

Array = Any


class Tally(Record):
    """What an account's run comes to, besides its returns; written in this order."""

    best_return: float
    worst_return: float
    max_drawdown: float
    longest_drawdown: float  # bars
    exposed: float  # bars with a position
    orders: float  # filled
    rejects: float
    trades: float
    wins: float
    gross_profit: float
    gross_loss: float
    squared_profit: float
    best_trade: float
    worst_trade: float
    win_streak: float
    loss_streak: float
    bars_held: float
    longest_trade: float  # bars
    adverse: float  # sum of the trades' worst excursions, shares of the entry price
    favourable: float
    most_adverse: float
    fees: float
    turnover: float
    financing: float
    dividends: float
    margin_calls: float
    low5: float  # quantiles of the returns, and the mean of the worst
    mean5: float
    high5: float


class Moments(Record):
    """Sums over an account's returns, and over how far its equity was below its peak."""

    s1: float  # of returns, their squares, cubes and fourth powers
    s2: float
    s3: float
    s4: float
    down: float  # squares of the negative ones
    up: float  # the positive ones
    ups: float  # how many were positive, and negative
    downs: float
    under: float  # 1 - equity / peak, and its square
    under2: float
    cross: float  # return times the benchmark's
    lagged: float  # return times the return of the bar before


class Account(Record):
    """The state of one account."""

    cash: float
    last_return: float  # of the bar before the block
    equity: float  # by which orders are sized and turnover is measured
    alive: bool  # until everything is lost
    positions: float  # how many are open
    locked_proceeds: float  # of shorts
    streak: float  # of trades that won, or below zero that lost
    cause: int  # of the orders to come: a margin call comes before any decision
    reject: int  # why the last order was not filled in full
    peak: float  # of the equity
    peak_bar: float
    trough: float  # since its peak
    drawdown: float  # the deepest trough over its peak
    invested: bool  # whether a position has been open since bar `since`
    since: float
    first_order: int  # the first resting order that has not ended


class Position(Record):
    """One asset of an account: what is held, what it cost, and where its stops stand."""

    units: float
    cost: float  # of the units, with fees and less dividends; below zero for a short
    order: float  # units to trade at this bar
    entry_bar: int
    best_price: float  # since the entry, of the side that is held
    loss_price: float  # the stop-loss
    stop_price: float  # the nearer of stop-loss and trailing stop
    profit_price: float  # the take-profit
    proceeds: float  # of its short, locked


class Bar(Record):
    """What a rule has seen at a bar, and its state before it."""

    seen: Annotated[Numbers, "SEEN"]
    state: Annotated[Numbers, "STATE"]


class Fill(Record):
    """One order as it was executed."""

    bar: float
    asset: float
    units: float
    price: float
    fee: float
    wanted: float
    cause: float
    reject: float


class RestingOrder(Record):
    """An order that waits: from the bar when it may fill first to the last."""

    first_bar: int
    asset: int
    size: float
    size_type: int
    limit: float
    stop: float
    last_bar: float
    group: float  # one that fills cancels the others
    parent: int  # whose fill it waits for
    at_close: bool


class OrderStatus(Record):
    """What has become of a resting order."""

    state: int
    filled: float  # units, of its own day
    triggered: bool  # its stop has been met
    reject: float
    bar: float


class Settings(NamedTuple):
    """The numbers of a row of parameters that are no member's."""

    stop_loss: float
    take_profit: float
    trailing: float
    max_holding_bars: float
    amount: float
    lot_size: float
    min_size: float
    max_participation: float
    initial_margin: float
    maintenance_margin: float
    margin_rate: float
    cash_rate: float
    borrow_rate: float


class Prices(NamedTuple):
    """What an account may read of its assets, by asset and bar.

    `ticks` are sums of closes in whole ticks. Each begins with `left_padding` NaN, which no
    window reaches beyond; `first_asset` is the account's own.
    """

    ticks: Array
    close: Array
    fill: Array
    extra: Array
    left_padding: int
    first_asset: int


class Past(NamedTuple):
    """What a rule may ask of the past: the prices of one asset up to a bar."""

    prices: Prices
    asset: int
    bar: int


class Decisions(NamedTuple):
    """What is to be done at each bar of a block, by asset: a target, its limit and its stop."""

    target: Array
    limit: Array
    stop: Array


class Block(NamedTuple):
    """Some bars in a row: what rules see, the equity, its returns, and their sums by place."""

    bars: list[Bar]
    equity: Array
    returns: Array
    moments: list[Moments]
    history: Array


class Job(NamedTuple):
    """What there is to run: assets of an account, accounts, rows of parameters, bars."""

    assets: int
    columns: int
    rows: int
    bars: int
    cash: float


class Table(NamedTuple):
    """The parameters: number f of row i is `numbers[at[f, 0] + i * at[f, 1]]`."""

    numbers: Array
    at: Array


class Inputs(NamedTuple):
    """What the caller gave by bar or by order, years from bar to bar, a benchmark's returns."""

    targets: Array
    orders: list[RestingOrder]
    statuses: list[OrderStatus]
    years: Array
    benchmark: Array


class Source(NamedTuple):
    """Where paths come from: log prices or returns, and what makes path number `first`."""

    values: Array
    first: int
    dt: float
    tick: float
    key0: np.uint32
    key1: np.uint32


class Log(NamedTuple):
    """Where an account's equity and fills are written, if they are."""

    enabled: bool
    column: int
    equity: Array
    fills: list[Fill]
    first: Array


class Run(NamedTuple):
    """All that one account reads."""

    parameters: tuple[float, ...]
    settings: Settings
    prices: Prices
    inputs: Inputs
    log: Log
    bars: int
    cash: float


class Order(NamedTuple):
    """An order to execute now.

    `allowed` is its share of the cash, in units; `slips` is 0.0 where the price is a limit.
    """

    units: float
    allowed: float
    price: float
    slips: float
    cause: int


class Filled(NamedTuple):
    """What an order came to: signed units, the price with slippage, the fee."""

    units: float
    price: float
    fee: float


TYPES = (
    Tally, Moments, Account, Position, Bar, Fill, RestingOrder, OrderStatus, Settings, Prices, Past,
    Decisions, Block, Job, Table, Inputs, Source, Log, Run, Order, Filled,
)  # fmt: skip
