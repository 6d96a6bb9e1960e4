"""Back-tests in parts: the best of a grid of any size, prices larger than memory, and columns
spread over workers.

Every part is a launch of its own; put one after the other their sums are those of the whole, to the
bit.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from gpuquant.backtesting.kernels.build import CPU_COLUMNS, SUMS
from gpuquant.backtesting.run import Account
from gpuquant.data.store import Store
from gpuquant.device import Device, resolve_device
from gpuquant.errors import missing, unknown
from gpuquant.sums import from_sums

PART = 1 << 16  # columns of one launch where only the best are kept
SPREAD = 32  # parts of a run that is spread over workers


def parts(account: Account) -> Iterator[Account]:
    """The account in groups of neighbouring assets or paths, in the order of its columns."""
    panel: Any = account.panel
    if account.paths is not None:
        most = -(-account.groups // SPREAD)
        for first in range(0, account.groups, most):
            yield replace(
                account,
                paths=replace(account.paths, paths=min(most, account.groups - first)),
                first_path=account.first_path + first,
            )
        return
    most = -(-len(panel.assets) // SPREAD)
    for names in (
        panel.groups()
        if isinstance(panel, Store)
        else (slice(k, min(k + most, len(panel.assets))) for k in range(0, len(panel.assets), most))
    ):
        targets = None if account.targets is None else account.targets[:, names].copy()
        yield replace(account, panel=panel.columns(names), targets=targets)


def spread(account: Account, device: Device, workers: Any, tick: Any) -> list[np.ndarray]:
    """The sums of every part, worked out by a Dask cluster."""
    client = client_of(workers)
    futures = [client.submit(_sums, part, device.kind, pure=False) for part in parts(account)]
    out = []
    for future in futures:
        out.append(future.result())
        tick(-(-len(out[-1]) // CPU_COLUMNS))
    return out


def _sums(account: Account, device: str) -> np.ndarray:
    """The sums of one part, computed on a worker."""
    return account.run(resolve_device(device))[0]


def best(
    account: Account, device: Device, top: int, by: str, tick: Any
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """The sums and numbers of the best columns, and the mean and spread of the Sharpe ratios of the
    whole grid. One asset, and at most PART rows of parameters, run at a time.
    """
    kept, numbers = np.empty((0, len(SUMS))), np.empty(0, np.int64)
    count, level, square = 0, 0.0, 0.0
    groups = 1 if account.paths is not None else account.groups
    for group in range(groups):
        whole = account.of(group * account.rows) if account.paths is None else account
        for first in range(0, account.rows, PART):
            rows = slice(first, min(first + PART, account.rows))
            part = replace(
                whole,
                parameters={
                    k: v if v.size == 1 else v[rows] for k, v in account.parameters.items()
                },
            )
            out, _, _, _ = part.run(device, tick)
            kept, numbers = (
                np.vstack([kept, out]),
                np.concatenate([numbers, group * account.rows + np.arange(rows.start, rows.stop)]),
            )
            result = from_sums(
                {name: kept[:, k] for k, name in enumerate(SUMS)},
                account.panel.bars - account.origin,
                account.periods,
                account.market_returns,
            )
            if by not in result:
                raise unknown("measure", by, result)
            ratios = result["sharpe"][-len(out) :]
            ratios = ratios[np.isfinite(ratios)]
            count, level, square = (
                count + len(ratios),
                level + float(ratios.sum()),
                square + float((ratios**2).sum()),
            )
            order = np.argsort(-np.nan_to_num(result[by], nan=-np.inf), kind="stable")[:top]
            kept, numbers = kept[order], numbers[order]
    spread = np.sqrt(max(square - level * level / max(count, 1), 0.0) / max(count - 1, 1))
    return (
        kept,
        numbers,
        {
            "sharpe_mean": level / max(count, 1),
            "sharpe_spread": float(spread),
            "kept": f"the best {len(numbers)} by {by}",
        },
    )


def client_of(workers: Any) -> Any:
    """A Dask client from what a user has: a client, a cluster, or the address of a scheduler."""
    if importlib.util.find_spec("distributed") is None:
        raise missing("distributed", "dist")
    from distributed import Client as Connected

    connect: Any = Connected
    return workers if isinstance(workers, Connected) else connect(workers)
