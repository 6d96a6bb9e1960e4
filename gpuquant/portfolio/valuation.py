"""Valuation: the positions of a book as one table of prices, in a market or in every scenario of
a set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant.data.arrow import Words
from gpuquant.data.choices import loose
from gpuquant.data.columns import domains
from gpuquant.data.market import Market
from gpuquant.device import resolve_device
from gpuquant.errors import DataError, InputError
from gpuquant.meter import Meter
from gpuquant.portfolio.risk import Risk
from gpuquant.portfolio.scenarios import SHOCKED, Scenarios
from gpuquant.pricing.contracts import Contracts
from gpuquant.pricing.engine import price
from gpuquant.pricing.greeks import IMPLIED, names_of
from gpuquant.pricing.results import Priced
from gpuquant.pricing.schema import models
from gpuquant.progress import bar

if TYPE_CHECKING:
    from gpuquant.portfolio.portfolio import Portfolio


def revalued(
    book: Portfolio,
    market: Any,
    shocks: Scenarios,
    *,
    paths: int,
    seed: int,
    device: Any,
    partial: bool = False,
    progress: bool | None = None,
) -> Risk:
    """Profits and losses of every position of a book in every scenario, on the same draws; see
    `Portfolio.risk`.
    """
    import pandas as pd

    market = market_of(market)
    if not isinstance(shocks, Scenarios):
        raise InputError(
            f"shocks = {type(shocks).__name__}: must be scenarios, such as "
            "gpuquant.Scenarios.grid(spot=[-0.1, 0.1])"
        )
    device = resolve_device(device)
    how: dict[str, Any] = {"paths": paths, "seed": seed, "device": device, "progress": False}
    shocks.check(book.underlyings(), market, read_by(book))
    with Meter(device) as meter, bar(len(shocks), "scenarios", progress) as tick:
        today = value(book, market, **how)
        currency = one_currency(today)
        names = [str(name) for name in today.source["position"].array()]
        status = today.columns["status"].astype(object)
        messages = today.columns["message"].astype(object)
        rows = np.empty((len(shocks), len(names)))
        for k, scenario in enumerate(shocks.markets(market)):
            there = value(book, scenario, **how)
            rows[k] = there.columns["value"] - today.columns["value"]
            lost = (there.columns["status"] == "failed") & (status != "failed")
            for row in np.flatnonzero(lost):
                text = there.columns["message"][row]
                messages[row] = f"in scenario {shocks.labels[k]!r}: {text}"
            status[lost] = "failed"
            tick(1)
    meta = {
        **today.meta,
        "device": device.name,
        "paths": paths,
        "seed": seed,
        "scenarios": len(shocks),
        "positions": len(names),
        "currency": currency,
        **meter.meta(),
    }
    return Risk(
        pd.DataFrame(rows, index=list(shocks.labels), columns=names),
        pd.Series(today.columns["value"], index=names),
        shocks.overlap,
        meta,
        pd.Series(messages, index=names, name="message"),
        pd.Series(status, index=names, name="status"),
        partial,
    )


def read_by(book: Portfolio) -> set[str]:
    """Every value that the positions of a book read from a market."""
    result = {*SHOCKED}
    for position in book.positions.values():
        if isinstance(position, Contracts):
            for word in {*position.text("model", "black_scholes").words, "black_scholes"}:
                result |= set(domains(models()[loose(word)])) if loose(word) in models() else set()
    return result


def market_of(market: Any) -> Market:
    """A market from what a user has: a market, a mapping, or the path of a file."""
    if isinstance(market, Market):
        return market
    return Market.read(market) if isinstance(market, str | Path) else Market(market)


def one_currency(priced: Priced) -> str:
    """The currency of a book; empty where no position names one.

    Several currencies are refused, because there are no exchange rates to convert them.
    """
    result = priced.source.get("currency")
    kinds = sorted({str(word) for word in result.array()}) if isinstance(result, Words) else []
    if len(kinds) > 1:
        named = [kind if kind != UNSAID else "positions without a currency" for kind in kinds]
        raise DataError(
            f"the book holds {', '.join(named)}: profits and losses need one currency; "
            "make a portfolio of each"
        )
    return kinds[0] if kinds else ""


# the currency of a contract that names none where other contracts name one, and of shares and cash
# where the contracts name several
UNSAID = "?"


def value(
    book: Portfolio, market: Any, *, greeks: bool | str | Sequence[str] = False, **how: Any
) -> Priced:
    """The positions of a book as one table: `NAME/id` per contract, `NAME/asset` per
    shareholding, `NAME` for cash.
    """
    market = market_of(market)
    if not book.positions:
        raise InputError("the portfolio is empty: it needs at least one position")
    wanted = tuple(name for name in names_of(greeks) if name != IMPLIED)
    names: list[str] = []
    currencies: list[str | None] = []
    parts: list[dict[str, Any]] = []
    meta: dict[str, Any] = {}
    for name, position in book.positions.items():
        if isinstance(position, Contracts):
            priced = price(position, market=market, greeks=wanted, **how)
            ids = position.columns.get("id")
            labels = (
                np.arange(len(position))
                if ids is None
                else ids.array()
                if isinstance(ids, Words)
                else ids
            )
            names += [f"{name}/{label}" for label in labels]
            amount = position.amounts()
            currencies += [str(word or UNSAID) for word in position.text("currency", "").array()]
            parts.append(
                {
                    **priced.columns,
                    **{g: priced.columns[g] * amount for g in wanted},
                    **{
                        f"{g}_std_error": priced.columns[f"{g}_std_error"] * np.abs(amount)
                        for g in wanted
                    },
                }
            )
            meta = priced.meta
        elif isinstance(position, Mapping):
            names += [f"{name}/{asset}" for asset in position]
            currencies += [None] * len(position)
            parts.append(_shares(position, market, wanted))
        elif isinstance(position, int | float):
            names.append(name)
            currencies.append(None)
            parts.append(_plain(np.array([float(position)]), np.ones(1), wanted, "cash"))
        else:
            raise InputError(
                f"position {name!r} is a strategy: price its holdings, as in "
                "fund.signals(prices).holdings"
            )
    # shares and cash are in the book's own currency: the contracts' where that is one
    kinds = {c for c in currencies if c is not None} - {UNSAID}
    source: dict[str, Any] = {"position": Words.of(names)}
    if kinds:
        own = next(iter(kinds)) if len(kinds) == 1 else UNSAID
        source["currency"] = Words.of([own if c is None else c for c in currencies])
    keys = [k for k in parts[0] if all(k in part for part in parts)]
    columns = {k: np.concatenate([part[k] for part in parts]) for k in keys}
    return Priced(columns, source, None, meta)


def _shares(
    position: Mapping[str, float], market: Market, greeks: tuple[str, ...]
) -> dict[str, Any]:
    names = list(position)
    nothing = np.full(len(names), np.nan)
    spots = market.lookup("spot", names, "", nothing, nothing, np.arange(len(names)))
    shares = np.array([float(position[name]) for name in names])
    made = _plain(spots, shares, greeks, "spot")
    for row in np.flatnonzero(~(np.isfinite(spots) & (spots > 0))):
        made["status"][row], made["message"][row] = (
            "failed",
            f"the market has no spot > 0 of {names[row]!r}",
        )
        made["value"][row] = np.nan
    return made


def _plain(
    prices: np.ndarray, amounts: np.ndarray, greeks: tuple[str, ...], engine: str
) -> dict[str, Any]:
    """Result columns of positions that need no model; their delta is their amount where they are
    shares.
    """
    n = len(prices)
    columns: dict[str, Any] = {"price": prices, "std_error": np.zeros(n)}
    for name in greeks:
        columns[name] = amounts * 1.0 if name == "delta" and engine == "spot" else np.zeros(n)
        columns[f"{name}_std_error"] = np.zeros(n)
    text = {
        k: np.full(n, v, dtype=object)
        for k, v in (("engine", engine), ("status", "ok"), ("message", ""))
    }
    return {**columns, "paths": np.zeros(n, np.int64), **text, "value": prices * amounts}
