"""Marking to market: what an account is worth at the closes of its bars.

Kernel source.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from __future__ import annotations

from gpuquant.backtesting.kernels.flags import flags
from gpuquant.backtesting.kernels.price_access import close_at, value_of
from gpuquant.backtesting.kernels.records import Account, Block, Position, Run


def equity_at(run: Run, account: Account, positions: list[Position], t):
    """The equity at the close of bar `t`."""
    equity = account.cash
    for j in range(len(positions)):
        price = close_at(run.prices, j, t)
        if flags.allow_halts:
            equity += value_of(positions[j].units, price)
        else:
            equity += positions[j].units * price
    return equity


def mark_to_market(run: Run, account: Account, positions: list[Position], block: Block, t0, q, to):
    """The equity from place `q` to before `to`, where nothing trades; the place of the first bar
    that loses the account, or `to`.
    """
    if len(positions) == 1:
        lost = mark_one(run, account, positions[0], block, t0, q)
    else:
        lost = mark_all(run, account, positions, block, t0, q, to)
    if lost > 0 and account.alive:
        p = q
        while p < to and block.equity[p + PADDING] > 0.0:
            p += 1
        to = p
    return to


def mark_one(run: Run, account: Account, position: Position, block: Block, t0, q):
    """The equity from place `q` to the end of the block with one asset; how often it is gone.

    Every place of the block is looked at, since a loop of a fixed length is all vector code. What
    is marked too far is marked again.
    """
    cash = account.cash
    units = position.units
    lost = 0
    for p in range(BLOCK):
        if flags.allow_halts:
            equity = cash + value_of(units, close_at(run.prices, 0, t0 + p))
        else:
            equity = cash + units * close_at(run.prices, 0, t0 + p)
        block.equity[p + PADDING] = equity if p >= q else block.equity[p + PADDING]
        lost += 1 if (p >= q) & (equity <= 0.0) else 0
    return lost


def mark_all(run: Run, account: Account, positions: list[Position], block: Block, t0, q, to):
    """The equity from place `q` to before `to` with any number of assets; how often it is gone."""
    cash = account.cash
    for p in range(q, to):
        block.equity[p + PADDING] = cash
    for j in range(len(positions)):
        units = positions[j].units
        if units != 0.0:
            for p in range(q, to):
                block.equity[p + PADDING] += units * close_at(run.prices, j, t0 + p)
    lost = 0
    for p in range(q, to):
        lost += 1 if block.equity[p + PADDING] <= 0.0 else 0
    return lost
