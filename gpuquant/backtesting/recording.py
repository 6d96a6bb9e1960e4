"""The equity and the fills of chosen accounts, run again with a log."""

from __future__ import annotations

import numpy as np

from gpuquant.backtesting.kernels.build import SUMS
from gpuquant.backtesting.run import Account
from gpuquant.data.panel import Panel
from gpuquant.device import resolve_device


def fill_counts(sums: np.ndarray) -> np.ndarray:
    """How many orders were filled or refused in each column."""
    return np.asarray(sums[:, SUMS.index("orders")] + sums[:, SUMS.index("rejects")]).astype(
        np.int64
    )


def record(account: Account, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the chosen columns again, keeping equity and orders: (columns, bars), (orders, 8),
    orders per column.

    The columns run on the CPU, whatever device the first run used: once to count the orders and
    once to record them.
    """
    if (
        isinstance(account.panel, Panel)
        and len(which) == account.columns
        and (which == np.arange(account.columns)).all()
    ):
        device = resolve_device("cpu")
        every = fill_counts(account.run(device)[0])
        _, equity_all, orders_all, _ = account.run(device, record=every)
        return equity_all, orders_all[: every.sum()], every
    equity, orders, numbers = [], [], []
    for column in which:
        one, device = account.of(int(column)), resolve_device("cpu:1")
        number = fill_counts(one.run(device)[0])
        _, curve, fills, _ = one.run(device, record=number)
        fills = fills[: number[0]].copy()
        fills[:, 1] += (
            0 if account.paths is not None else int(column) // account.rows * account.assets
        )
        equity.append(curve[0])
        orders.append(fills)
        numbers.append(number[0])
    return np.array(equity), np.concatenate(orders), np.array(numbers)
