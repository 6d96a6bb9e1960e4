"""How the scenarios X01 to X21 of `backtest/` were made: by vectorbt 1.2.0 and backtesting.py
0.6.6, on the prices of V01 and V09.

    python -m tests.reference.make_scenarios vectorbt tests/reference/backtest
    python tests/reference/make_scenarios.py backtesting tests/reference/backtest

The second needs backtesting.py alone, in an environment of its own, since its licence (AGPL) keeps
it out of ours.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = Path(__file__).with_name("backtest")


def told(name):
    """The json of a scenario that came with the house."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def drawn(bars, assets, share, seed):
    """Entries and exits at random, each at `share` of the bars: rows of bar, asset, signal."""
    draw = np.random.default_rng(seed)
    chance = draw.random((bars, len(assets)))
    chance[:5] = 1.0
    rows = [
        (b, assets[a], "entry" if chance[b, a] < share else "exit")
        for b, a in np.argwhere(chance < 2 * share)
    ]
    return pd.DataFrame(rows, columns=["bar", "asset", "signal"])


def listed(bars, assets, sizes, every, column, seed):
    """Orders at random: three assets every so many bars, each of a size among `sizes`."""
    draw = np.random.default_rng(seed)
    rows = [
        (b, a, float(draw.choice(sizes)))
        for b in range(0, bars, every)
        for a in sorted(draw.choice(len(assets), 3, replace=False))
    ]
    return pd.DataFrame([(b, assets[a], s) for b, a, s in rows], columns=["bar", "asset", column])


def write(folder, name, like, tool, title, params, inputs, files):
    """A scenario's json, inputs and what the other engine made of them."""
    parts = {
        "title": title,
        "tool": tool,
        "data": like["data"],
        "input_sha256": like["input_sha256"],
        "params": params,
        "id": name,
    }
    (folder / f"{name}.json").write_text(json.dumps(parts, indent=1) + "\n")
    for kind, frame in {"inputs": inputs, **files}.items():
        frame.to_csv(folder / f"{name}_{kind}.csv", index=False)


def by_vectorbt(folder):
    """X01 to X14."""
    import vectorbt as vbt

    from tests.reference import scenarios

    google, stocks = told("V01"), told("V09")
    one, many = scenarios.prices(google), scenarios.prices(stocks)
    signals = drawn(one.bars, ["0"], 0.035, 5)
    bars = {
        name: pd.DataFrame(getattr(one, name), columns=["0"]) for name in ("open", "high", "low")
    }

    def save(name, title, like, params, inputs, held, assets):
        orders, trades = held.orders.records, held.trades.records
        sides = np.where(orders["side"] == 0, "buy", "sell")
        dealt = pd.DataFrame(
            {"bar": orders["idx"], "asset": [assets[c] for c in orders["col"]], "side": sides}
            | {n: orders[n] for n in ("size", "price", "fees")}
        )
        names = {
            "entry_bar": "entry_idx",
            "exit_bar": "exit_idx",
            **{n: n for n in ("size", "entry_price", "exit_price", "pnl")},
        }
        done = pd.DataFrame({to: trades[of] for to, of in names.items()})
        write(
            folder,
            name,
            like,
            "vectorbt 1.2.0",
            title,
            params,
            inputs,
            {"orders": dealt.sort_values("bar", kind="stable"), "trades": done},
        )

    def followed(name, title, ohlc=False, rule=None, **params):
        close, entries, exits = (
            pd.DataFrame(x, columns=["0"]) for x in (one.close, *flags(signals, one.bars, ["0"]))
        )
        held = vbt.Portfolio.from_signals(close, entries, exits, **(bars if ohlc else {}), **params)
        said = {"size": "all cash", **params} | ({"rule": rule} if rule else {})
        save(name, title, google, said, signals[["bar", "signal"]], held, ["0"])

    def shared(name, title, inputs, **params):
        assets, close = list(many.assets), pd.DataFrame(many.close, columns=many.assets)
        purse = {"group_by": True, "cash_sharing": True, "init_cash": 1e6, "fees": 0.001}
        if "signal" in inputs:
            held = vbt.Portfolio.from_signals(
                close,
                *(pd.DataFrame(x, columns=assets) for x in flags(inputs, many.bars, assets)),
                **purse,
                **params,
            )
        else:
            size = np.full(close.shape, np.nan)
            size[inputs["bar"], [assets.index(a) for a in inputs["asset"]]] = inputs.iloc[:, 2]
            held = vbt.Portfolio.from_orders(
                close, pd.DataFrame(size, columns=assets), direction="longonly", **purse, **params
            )
        said = {"init_cash": 1e6, "fees": 0.001, "cash_sharing": True, **params} | (
            {} if "signal" in inputs else {"direction": "longonly"}
        )
        save(name, title, stocks, said, inputs, held, assets)

    def flags(rows, count, assets):
        out = np.zeros((2, count, len(assets)), bool)
        out[
            (rows["signal"] == "exit").to_numpy(int),
            rows["bar"],
            [assets.index(a) for a in rows["asset"]],
        ] = True
        return out

    few = drawn(many.bars, list(many.assets)[:6], 0.02, 31)
    cash = {"init_cash": 1e4, "fees": 0.001}
    followed(
        "X01", "long only, fixed and proportional fees", **cash, fixed_fees=5.0, slippage=0.0005
    )
    followed(
        "X02",
        "short only by value, trailing stop",
        True,
        **cash,
        size=3000.0,
        size_type="value",
        direction="shortonly",
        sl_stop=0.05,
        sl_trail=True,
    )
    followed(
        "X03",
        "stop-market: both stops slip",
        True,
        **cash,
        slippage=0.002,
        sl_stop=0.05,
        tp_stop=0.1,
        stop_exit_price="stopmarket",
    )
    followed(
        "X04",
        "trailing stop-market",
        True,
        **cash,
        slippage=0.002,
        sl_stop=0.05,
        sl_trail=True,
        stop_exit_price="stopmarket",
    )
    followed(
        "X05", "pyramiding in whole shares", **cash, size=7.0, accumulate=True, size_granularity=1.0
    )
    followed(
        "X06",
        "pyramiding by value in whole shares",
        **cash,
        size=2500.0,
        size_type="value",
        accumulate=True,
        size_granularity=1.0,
    )
    followed(
        "X07",
        "all-or-nothing, with a minimum",
        **cash,
        size=40.0,
        allow_partial=False,
        min_size=1.0,
        fixed_fees=1.0,
    )
    followed(
        "X08",
        "trailing stop on closes",
        **cash,
        sl_stop=0.05,
        sl_trail=True,
        slippage=0.0005,
        rule="the stop is close-based",
    )
    followed(
        "X09",
        "both sides, stops from the fill price",
        True,
        **cash,
        size=10.0,
        direction="both",
        sl_stop=0.04,
        tp_stop=0.06,
        stop_entry_price="fillprice",
    )
    followed(
        "X10",
        "short only by value, locked cash",
        **cash,
        size=1000.0,
        size_type="value",
        direction="shortonly",
        lock_cash=True,
        accumulate=True,
    )
    percents = listed(many.bars, list(many.assets), [0.1, 0.3, -0.5, -1.0, 0.2], 21, "percent", 20)
    shared(
        "X11",
        "percent of a shared purse, sells first",
        percents,
        size_type="percent",
        slippage=0.0005,
        call_seq="auto",
    )
    shared(
        "X12",
        "signals for a share of a shared purse",
        few,
        size=0.3,
        size_type="percent",
        call_seq="auto",
    )
    shared(
        "X13",
        "all-or-nothing on a shared purse",
        few,
        size=3e5,
        size_type="value",
        allow_partial=False,
    )
    lots = listed(many.bars, list(many.assets), [-300.0, 250.0, 400.0, 905.0], 15, "size", 36)
    shared(
        "X14",
        "lots of ten, minimum and fixed fee",
        lots,
        size_type="amount",
        size_granularity=10.0,
        min_size=20.0,
        fixed_fees=3.0,
    )


def by_backtesting(folder):
    """X15 to X21."""
    from backtesting import Backtest, Strategy
    from backtesting.test import GOOG

    like, inputs = told("B01"), pd.read_csv(FOLDER / "V01_inputs.csv")
    signal = dict(zip(inputs["bar"], inputs["signal"], strict=True))

    class Flip(Strategy):
        size = 0.5

        def init(self):
            pass

        def next(self):
            now = signal.get(len(self.data) - 1)
            if now:
                (self.buy if now == "entry" else self.sell)(size=self.size)

    class Bracket(Flip):
        def next(self):
            price = self.data.Close[-1]
            if signal.get(len(self.data) - 1) == "entry" and not self.position:
                self.buy(size=self.size, sl=price * 0.95, tp=price * 1.08)

    class Both(Flip):
        def next(self):
            price, now = self.data.Close[-1], signal.get(len(self.data) - 1)
            if now == "entry":
                self.buy(size=self.size, sl=price * 0.94, tp=price * 1.1)
            elif now:
                self.sell(size=self.size, sl=price * 1.06, tp=price * 0.9)

    class Trail(Flip):
        leaves, keeps = False, 0.96

        def next(self):
            price, now = self.data.Close[-1], signal.get(len(self.data) - 1)
            for trade in self.trades:
                trade.sl = max(trade.sl or 0.0, price * self.keeps)
            if now == "entry" and not self.position:
                self.buy(size=self.size)
            elif now == "exit" and self.leaves:
                self.position.close()

    class TrailOrLeave(Trail):
        leaves, keeps = True, 0.88

    flips = "exclusive orders; the last trade is closed on the last bar"
    for name, title, strategy, size, rule, params in (
        (
            "X15",
            "brackets",
            Bracket,
            0.5,
            (
                "buy size .5 of equity when flat, bracket: sl 5% below and tp 8% above the "
                "signal's close"
            ),
            {"commission": 0.001},
        ),
        (
            "X16",
            "30x margin",
            Flip,
            0.1,
            f"size .1 of equity; {flips}",
            {"commission": 0.0002, "margin": 1 / 30},
        ),
        (
            "X17",
            "30x margin, lost",
            Flip,
            0.5,
            f"size .5 of equity; {flips}",
            {"commission": 0.0002, "margin": 1 / 30},
        ),
        (
            "X18",
            "30x margin, in units",
            Flip,
            20,
            f"size 20 units; {flips}",
            {"commission": 0.0002, "margin": 1 / 30},
        ),
        (
            "X19",
            "brackets on both sides",
            Both,
            0.5,
            f"size .5 of equity, long and short, sl 6% and tp 10% from the signal's close; {flips}",
            {"commission": 0.001},
        ),
        (
            "X20",
            "trailing stop on closes",
            Trail,
            0.9,
            "buy size .9 of equity when flat; the stop trails 4% below the best close",
            {"commission": 0.001},
        ),
        (
            "X21",
            "trailing stop on closes, or an exit signal",
            TrailOrLeave,
            0.9,
            (
                "buy size .9 of equity when flat; the stop trails 12% below the best close; "
                "an exit signal closes"
            ),
            {"commission": 0.001},
        ),
    ):
        run = Backtest(
            GOOG,
            strategy,
            cash=10_000,
            exclusive_orders=strategy in (Flip, Both),
            finalize_trades=True,
            **params,
        ).run(size=size)
        names = {
            "size": "Size",
            "entry_bar": "EntryBar",
            "exit_bar": "ExitBar",
            "entry_price": "EntryPrice",
            "exit_price": "ExitPrice",
            "pnl": "PnL",
        }
        trades = pd.DataFrame({to: run["_trades"][of] for to, of in names.items()})
        write(
            folder,
            name,
            like,
            "backtesting.py 0.6.6",
            title,
            {"cash": 10_000, **params, "rule": rule},
            inputs,
            {"trades": trades},
        )


if __name__ == "__main__":
    (by_vectorbt if sys.argv[1] == "vectorbt" else by_backtesting)(Path(sys.argv[2]))
