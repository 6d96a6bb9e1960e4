"""A back-test in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gpuquant.backtesting.result import Backtest

LINES = (
    ("total return", "total_return", "+.1%"),
    ("CAGR", "cagr", "+.2%"),
    ("volatility", "volatility", ".2%"),
    ("Sharpe", "sharpe", ".2f"),
    ("max drawdown", "max_drawdown", ".1%"),
    ("turnover a year", "turnover", ".1f"),
    ("orders", "orders", ".0f"),
    ("fees", "fees", ",.0f"),
)


def shown(value: float, form: str) -> str:
    """A measure as text; an undefined measure is shown without a sign and a unit."""
    return f"{value:{form}}" if np.isfinite(value) else "undefined"


def in_words(result: Backtest) -> str:
    """The measures of one column; of a grid the best, deflated; of paths the distribution."""
    m = result.measures
    if result.account.paths is not None:
        low, middle, high = np.nanquantile(m["sharpe"], (0.05, 0.5, 0.95))
        return (
            f"{result.account.groups} paths of {result.account.panel.bars} bars, "
            f"{result.account.rows} rules on each, in "
            f"{result.meta.get('seconds', float('nan')):.3g} s\n"
            f"Sharpe {middle:.2f} in the middle, 5 % below {low:.2f}, 5 % above "
            f"{high:.2f}; a loss in {np.mean(m['total_return'] < 0.0):.0%} of them"
        )
    if len(result) == 1 and int(result.meta.get("trials", 1)) == 1:
        return "\n".join(f"{label:<16}{shown(m[name][0], form):>14}" for label, name, form in LINES)
    best_of = result.deflated_sharpe()
    if not np.isfinite(best_of["sharpe"]):
        return (
            f"none of {len(result)} columns over {result.account.panel.bars} bars has a "
            "Sharpe ratio: their returns do not move"
        )
    best = int(best_of["column"])
    label = ", ".join(f"{k} {v[best]}" for k, v in result.labels.items())
    return (
        f"deflated Sharpe {best_of['deflated_sharpe']:.2f}: the probability that the "
        f"best of {best_of['trials']:.0f} columns is more than their luck\n"
        f"best Sharpe {best_of['sharpe']:.2f} ({label}); median {np.nanmedian(m['sharpe']):.2f}; "
        f"{result.needed(best_of)}\n"
        f"{len(result)} columns over {result.account.panel.bars} bars in "
        f"{result.meta.get('seconds', float('nan')):.3g} s"
    )
