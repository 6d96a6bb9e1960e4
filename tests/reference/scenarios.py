"""The back-tests of other engines, trade by trade: the one place that knows their vocabulary.

`run(folder, scenario_id, out_folder)` reads a scenario's json and inputs, runs it here, and writes
orders.csv, trades.csv and equity.csv in the scenario's own columns. Prices come from the wheel that
the json's recipe names: the installed package, or a copy of the wheel in `data/wheels`.
"""

import gzip
import hashlib
import importlib.util
import io
import json
import os
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

import gpuquant as gq
from gpuquant.data.panel import Panel

WHEELS = Path(os.environ.get("GPUQUANT_DATA", "data")) / "wheels"
OHLC = ["Open", "High", "Low", "Close"]


class Absent(Exception):
    """The package that carries a scenario's prices is not here."""


def run(folder, scenario_id, out_folder):
    """Run a scenario and write its files; the back-test."""
    folder, out_folder = Path(folder), Path(out_folder)
    told = json.loads((folder / f"{scenario_id}.json").read_text())
    panel = prices(told)
    found = (of_backtesting if told["tool"].startswith("backtesting") else of_vectorbt)(
        told, panel, inputs(folder, told)
    )
    out_folder.mkdir(parents=True, exist_ok=True)
    fifo = told["tool"].startswith("backtesting")
    orders, trades, equity = (
        found.orders(),
        found.trades(matching="fifo" if fifo else "average"),
        found.equity().sum(axis=1).to_numpy(copy=True),
    )
    if (
        fifo and equity.min() <= 0.0
    ):  # a lost account is worth nothing ever after, and pays for the closing, which is free here
        lost = int(np.argmax(equity <= 0.0))
        equity[lost:] = 0.0
        closed = (trades["exit_bar"] == lost) & (trades["exit_fee"] == 0.0)
        side = np.where(trades["direction"] == "long", 1.0, -1.0)
        fee = told["params"].get("commission", 0.0) * panel.close[lost, 0] * trades["size"]
        trades.loc[closed, "exit_fee"] = fee[closed]
        gain = (
            side * trades["size"] * (trades["exit_price"] - trades["entry_price"])
            - trades["entry_fee"]
            - trades["exit_fee"]
        )
        trades.loc[closed, "pnl"] = gain[closed]
    orders.rename(columns={"fee": "fees"})[
        ["bar", "asset", "side", "size", "price", "fees"]
    ].to_csv(out_folder / "orders.csv", index=False)
    names = {"entry_fee": "entry_fees", "exit_fee": "exit_fees", "return": "ret"}
    trades = trades.rename(columns=names).astype({"closed": int})
    # signed units; the trades of one bar from the last opened to the first, and on the last bar the
    # other way
    if fifo:
        trades["size"] *= np.where(trades["direction"] == "long", 1.0, -1.0)
        trades["commission"] = trades["entry_fees"] + trades["exit_fees"]
        turn = np.where(
            trades["exit_bar"] == panel.bars - 1, trades["entry_bar"], -trades["entry_bar"]
        )
        trades = trades.iloc[np.lexsort((turn, trades["exit_bar"]))]
    else:
        gone = np.isnan(panel.close[-1, [panel.asset(name) for name in trades["asset"]]]) & (
            trades["closed"] == 0
        )
        trades.loc[gone, ["exit_price", "pnl", "ret"]] = (
            np.nan
        )  # vectorbt values no holding whose last price is missing
        trades = trades.sort_values(
            ["column", "asset"],
            key=lambda c: c.map(panel.assets.index) if c.name == "asset" else c,
            kind="stable",
        )
    trades.to_csv(out_folder / "trades.csv", index=False)
    pd.DataFrame({"date": panel.dates.astype("datetime64[D]"), "equity": equity}).to_csv(
        out_folder / "equity.csv", index=False
    )
    return found


def prices(told):
    """The panel of a scenario's recipe, its bytes those of the recipe's hash."""
    recipe = told["data"]
    package, path = re.match(r"(\w+)==[\d.]+,? ([\w./]+)", recipe).groups()
    frame = _read(package, path)
    bars = re.search(r"last (\d+) rows,", recipe)
    frame = frame.iloc[-int(bars[1]) :] if bars else frame
    bar_data = set(OHLC) <= set(frame.columns)
    values = (frame[OHLC] if bar_data else frame).to_numpy(dtype=np.float64).copy()
    for asset, first, last in re.findall(r"(\w+) rows (\d+)\.\.(\d+)", recipe):
        values[int(first) : int(last) + 1, frame.columns.get_loc(asset)] = np.nan
    for asset, count in re.findall(r"(\w+) last (\d+) rows set", recipe):
        values[-int(count) :, frame.columns.get_loc(asset)] = np.nan
    hashed = np.where(np.isnan(values), -1.0, values)  # as the recipes write a missing price
    found = hashlib.sha256(np.ascontiguousarray(hashed).tobytes()).hexdigest()
    assert found == told["input_sha256"], f"{told['id']}: the prices are not those of the recipe"
    dates = pd.DatetimeIndex(frame.index).to_numpy()
    if not bar_data:
        return Panel(values, dates, tuple(frame.columns), allow_halts=bool(np.isnan(values).any()))
    first, high, low, close = (np.ascontiguousarray(values[:, k : k + 1]) for k in range(4))
    return Panel(close, dates, ("0",), open=first, high=high, low=low)


def _read(package, path):
    """A file that a package carries, without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is not None and (Path(spec.origin).parent / path).exists():
        data = (Path(spec.origin).parent / path).read_bytes()
    else:
        wheels = sorted(WHEELS.glob(f"{package}-*.whl"))
        if not wheels:
            raise Absent(
                f"{package}, whose file {path} the prices are: `make data` brings its wheel"
            )
        with zipfile.ZipFile(wheels[-1]) as wheel:
            data = wheel.read(f"{package}/{path}")
    data = gzip.decompress(data) if path.endswith(".gz") else data
    return pd.read_csv(io.BytesIO(data), index_col=0, parse_dates=True)


def inputs(folder, told):
    """The scenario's own inputs, or those of another on the same prices: the tools were given
    one list of signals.
    """
    own = folder / f"{told['id']}_inputs.csv"
    if own.exists():
        return pd.read_csv(own)
    for path in sorted(folder.glob("*_inputs.csv")):
        other = json.loads((folder / path.name.replace("_inputs.csv", ".json")).read_text())
        if other["input_sha256"] == told["input_sha256"] and "signal" in path.read_text()[:40]:
            return pd.read_csv(path)
    return None


def of_vectorbt(told, panel, given):
    """A scenario of vectorbt's: it fills at the close or the open of the signal's own bar."""
    p, words = told["params"], f"{told['title']} {told['params'].get('rule', '')}".lower()
    fees = {
        "rate": p.get("fees", 0.0),
        "fixed": p.get("fixed_fees", 0.0),
        "slippage": p.get("slippage", 0.0),
    }
    costs = (
        gq.costs.Commission(**fees)
        if fees["fixed"]
        else gq.costs.Proportional(rate=fees["rate"], slippage=fees["slippage"])
    )
    kind, amount = _size(p, words)
    sides = p.get("direction", "longonly" if "signal" in given else "both").lower().replace("_", "")
    size = gq.Size(
        amount=amount,
        size_type=kind,
        lot_size=p.get("size_granularity") or 0.0,
        min_size=p.get("min_size") or 0.0,
        allow_partial_fills=not (
            p.get("allow_partial") is False
            or "all-or-nothing" in words
            or "all or nothing" in words
        ),
        pyramiding=bool(p.get("accumulate") or "pyramid" in words),
        direction={"longonly": "long", "shortonly": "short"}.get(sides, "both"),
    )
    run_ = {
        "costs": costs,
        "size": size,
        "cash": p["init_cash"],
        "periods": 365.0,
        "fill": "same_open" if p.get("price") == "open" else "same_close",
        "margin": gq.Margin(lock_short_proceeds=True) if p.get("lock_cash") else None,
        "stops": _stops(p, words),
        "cash_allocation": "sequential",
    }
    sells_first = (
        str(p.get("call_seq", "")).lower() == "auto"
        or "sells first" in words
        or "sells release" in words
    )
    if "signal" in given and (p.get("cash_sharing") or len(panel.assets) > 1):
        return _shared(
            given,
            kind,
            amount,
            sells_first,
            lambda orders: gq.backtest(panel, orders=orders, **run_),
        )
    if "signal" in given:
        takes_off = p.get("accumulate") in (True, "both", "Both") or (
            "pyramid" in words and "accumulate" not in p
        )
        return gq.backtest(
            panel, signals=_signals(given, panel, sides, takes_off=takes_off), **run_
        )
    column = next(name for name in given if name not in ("bar", "asset"))
    if column in ("target_percent", "target_amount", "target_units"):
        wishes = np.full(panel.close.shape, np.nan)
        wishes[given["bar"], [panel.asset(name) for name in given["asset"]]] = given[column]
        return gq.backtest(
            panel, **{"weights" if column == "target_percent" else "amounts": wishes}, **run_
        )
    kind = {"value": "value", "percent": "cash"}.get(
        str(p.get("size_type", "value" if "by value" in words else "amount")).lower(), "units"
    )
    unit = {"size": kind, "amount": "units", "units": "units", "value": "value", "percent": "cash"}[
        column
    ]
    orders = given.rename(columns={column: "size"}).assign(size_type=unit, bars=1)
    if sells_first:
        worth = (
            panel.close[orders["bar"], [panel.asset(name) for name in orders["asset"]]]
            if unit == "units"
            else 1.0
        )
        orders = orders.assign(by=orders["size"] * worth).sort_values(["bar", "by"], kind="stable")
    if unit == "cash":  # a share of the cash to buy, a share of the holding to sell
        orders.loc[orders["size"] < 0.0, "size_type"] = "holding"
    orders = orders[
        ["bar", "size", "size_type", "bars", *(("asset",) if "asset" in orders else ())]
    ]
    return gq.backtest(panel, orders=orders, **run_)


def _size(p, words):
    """What a signal trades: the kind, and how much of it."""
    size = p.get("size")
    if size in (None, "all cash", "inf") or size == float("inf"):
        return "cash", 1.0
    kind = str(
        p.get(
            "size_type",
            "value" if "by value" in words else "percent" if "percent of" in words else "amount",
        )
    ).lower()
    kinds = {"amount": "units", "value": "value", "percent": "cash"}
    return kinds.get(kind, "units"), float(size)


def _stops(p, words):
    """The stops: measured from the close of the entry bar unless the rule says the fill; they
    fill without slippage unless it says market.
    """
    loss, profit, trail = p.get("sl_stop"), p.get("tp_stop"), p.get("sl_trail")
    if loss is None and profit is None and not trail:
        return None
    trailing = loss if trail is True else trail or (loss if "trailing" in words else None)
    market = (
        "market" in str(p.get("stop_exit_price", "")).lower()
        or "stop-market" in words
        or "stopmarket" in words
    )
    return gq.Stops(
        stop_loss=None if trailing else loss,
        trailing=trailing,
        take_profit=profit,
        entry_reference="fill"
        if "fill price" in words
        or str(p.get("stop_entry_price", "")).lower() in ("price", "fillprice")
        else "close",
        slip_stops=market,
        slip_limits=market,
        trigger="close" if "close-based" in words else "range",
    )


def _signals(given, panel, sides, *, takes_off=False):
    """Entries and exits as directions: what an exit means follows from the sides that are
    traded, and on whether it `takes_off` a part.
    """
    entry, exit_ = {"longonly": (1.0, 0.0), "shortonly": (-1.0, 0.0), "both": (1.0, -1.0)}[sides]
    exit_ = -entry if takes_off else exit_
    signals = np.full(panel.close.shape, np.nan)
    signals[given["bar"], 0] = np.where(given["signal"] == "entry", entry, exit_)
    return signals


def _shared(given, kind, amount, sells_first, run_orders):
    """Signals on assets that share a purse, run as orders: an entry where an asset is flat, and an
    exit that closes it.

    Whether it is flat rests on whether its last entry found cash: the orders are run again after
    each that did not.
    """
    signals = given[["bar", "asset", "signal"]]
    if sells_first:
        signals = signals.assign(enters=signals["signal"] == "entry").sort_values(
            ["bar", "enters"], kind="stable"
        )
    refused = set()
    while True:
        rows, held = [], set()
        for bar, asset, signal in signals[["bar", "asset", "signal"]].itertuples(index=False):
            if (signal == "entry") != (asset in held) and (bar, asset) not in refused:
                held ^= {asset}
                rows.append(
                    {
                        "bar": bar,
                        "asset": asset,
                        "size": amount if signal == "entry" else np.nan,
                        "size_type": kind,
                        "bars": 1,
                    }
                )
        orders = pd.DataFrame(rows)
        found = run_orders(orders)
        empty = np.flatnonzero(
            (found.order_status()["filled"].to_numpy() == 0.0) & orders["size"].notna().to_numpy()
        )
        if not empty.size:
            return found
        refused.add((rows[empty[0]]["bar"], rows[empty[0]]["asset"]))


def of_backtesting(told, panel, given):
    """A scenario of backtesting.py's: whole units, filled at the next bar's open."""
    p, rule = told["params"], told["params"].get("rule", "")
    costs = gq.costs.Proportional(rate=p.get("commission", 0.0))
    run_ = {
        "costs": costs,
        "cash": float(p["cash"]),
        "margin": gq.Margin(initial=p["margin"]) if p.get("margin", 1) < 1 else None,
    }
    if "limit -" in rule:
        return gq.backtest(
            panel, orders=_resting(rule, panel), size=gq.Size(allow_partial_fills=False), **run_
        )
    words = f"{told['title']} {rule}".lower()
    stops = _trail(p, words) or _bracket(p, words)
    signals = _signals(
        given, panel, "both" if not stops or re.search(r"flip|both|short", words) else "longonly"
    )
    if stops and not re.search(r"exit signal", words):  # what closes is a stop
        signals[signals == 0.0] = np.nan
    signals[-2:, 0] = 0.0, np.nan  # what is open at the end is closed on the last bar
    size = p.get("size") or float((re.search(r"size (\d*\.?\d+)", rule) or ["", ".9999"])[1])
    # ".9999" is how its documentation prints "all of it": two of B01's sizes (entries at bars 267
    # and 459) are one unit above the share's
    size = (
        {"amount": 1.0 if size == 0.9999 else size, "size_type": "cash"}
        if size < 1.0
        else {"amount": size, "size_type": "units"}
    )
    return gq.backtest(
        panel, signals=signals, size=gq.Size(**size, lot_size=1.0), stops=stops, **run_
    )


def _trail(p, words):
    """A stop that is drawn after every close of the holding, the entry bar's the first, and is
    live on the next bar; None where none is told of.
    """
    said = re.search(r"trail[^\d]{0,40}(\d+(?:\.\d+)?) ?%", words) or re.search(
        r"(\d+(?:\.\d+)?) ?%[^\d]{0,40}trail", words
    )
    given = next(
        (
            float(p[key])
            for key in (
                "trailing",
                "trail",
                "trail_pct",
                "trailing_pct",
                "trailing_stop",
                "sl_trail",
            )
            if p.get(key)
        ),
        None,
    )
    by = given or (float(said[1]) / 100.0 if said else None)
    return (
        gq.Stops(trailing=by, entry_reference="close", trail_reference="close", slip_stops=False)
        if by
        else None
    )


def _bracket(p, words):
    """A stop-loss and a take-profit, written at the signal's close and live from the fill on,
    the fill's own bar included.
    """
    found = {}
    for name, keys, pattern in (
        ("stop_loss", ("sl", "sl_stop"), r"(?:\bsl|stop[- ]loss)"),
        ("take_profit", ("tp", "tp_stop"), r"(?:\btp|take[- ]profit)"),
    ):
        said = re.search(pattern + r"[^\d]{0,16}(\d+(?:\.\d+)?) ?%", words) or re.search(
            r"(\d+(?:\.\d+)?) ?% (?:below|above|away)? ?" + pattern, words
        )
        given = next((p[key] for key in keys if p.get(key)), None)
        found[name] = given or (float(said[1]) / 100.0 if said else None)
    return (
        gq.Stops(**found, entry_reference="signal", entry_bar=True, slip_stops=False)
        if any(found.values())
        else None
    )


def _resting(rule, panel):
    """The orders of "limit -3% every 25 bars (older resting orders cancelled), stop-entry +3% five
    bars later, close all every 40 bars".

    The json does not say the units, nor at which bar of each turn the rule acts: 30 and 15, at the
    sixth, the eleventh and the last.
    """
    below, every = re.search(r"limit -(\d+)% every (\d+) bars", rule).groups()
    above, whole = (
        re.search(r"stop-entry \+(\d+)%", rule)[1],
        re.search(r"close all every (\d+) bars", rule)[1],
    )
    below, every, above, whole = int(below) / 100, int(every), int(above) / 100, int(whole)
    close, rows = panel.close[:, 0], []
    for bar in range(panel.bars - 1):
        left = every - (bar - 5) % every
        if (
            bar % whole == whole - 1 or bar == panel.bars - 2
        ):  # what is open at the end is closed on the last bar
            rows.append({"bar": bar, "bars": 1})
        if bar % every == 5:
            rows.append({"bar": bar, "size": 30.0, "limit": close[bar] * (1 - below), "bars": left})
        if bar % every == 10:
            rows.append({"bar": bar, "size": 15.0, "stop": close[bar] * (1 + above), "bars": left})
    return pd.DataFrame(rows)
