"""Pages of frames and series: a tear sheet, a back-test and a risk report, each one offline HTML
file below 500 kB.

Frames of curves have dates as their index and a column for each curve, the shown one first; a frame
of measures has a row for each name in FIGURES.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import disk
from gpuquant.reporting import svg

if TYPE_CHECKING:
    import pandas as pd

STYLE = """
:root{color-scheme:light dark;--ink:#1a202c;--soft:#5a6675;--line:#d8dee6;--paper:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa5b1;--line:#333c47;--paper:#14181d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
body{max-width:900px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em;margin:0}h2{font-size:1.1em;margin:1.6em 0 .4em}
p.lead{color:var(--soft);margin:.2em 0 1em}
figure{margin:1.2em 0}figcaption{font-weight:600;display:flex;justify-content:space-between}
.legend span{margin-left:1em;font-weight:400;color:var(--soft)}
.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.3em;border-radius:2px}
svg{width:100%;height:auto}.grid{stroke:var(--line)}.tick{fill:var(--soft);font-size:11px}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
table{font-size:.88em}th,td{padding:.2em .35em;text-align:right;white-space:nowrap}
th,td{border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left}
.headline{border-left:4px solid #c05621;padding:.4em 1em;margin:1em 0}
footer{color:var(--soft);font-size:.85em;margin-top:2em}
"""
FIGURES = (
    ("total return", "total_return", "+.1%"),
    ("CAGR", "cagr", "+.2%"),
    ("volatility", "volatility", ".2%"),
    ("Sharpe", "sharpe", ".2f"),
    ("Sortino", "sortino", ".2f"),
    ("Calmar", "calmar", ".2f"),
    ("max drawdown", "max_drawdown", ".1%"),
    ("longest drawdown, bars", "max_drawdown_bars", ".0f"),
    ("skew", "skew", ".2f"),
    ("excess kurtosis", "kurtosis", ".2f"),
    ("best bar", "best_bar", "+.2%"),
    ("worst bar", "worst_bar", "+.2%"),
    ("turnover a year", "turnover", ".2f"),
    ("orders", "orders", ",.0f"),
    ("fees", "fees", ",.0f"),
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SHOWN = (
    "device",
    "device_reason",
    "precision",
    "seed",
    "fill",
    "seconds",
    "joules",
    "joules_source",
    "version",
    "scenarios",
    "costs",
    "currency",
    "frequency",
)  # of what a result was made with, at a page's foot


@dataclass(frozen=True)
class Words:
    """The texts of a page: the title, a paragraph below it, the headline as HTML, and `meta`, the
    settings of the result, for the foot of the page.
    """

    title: str
    lead: str
    meta: Mapping[str, Any]
    headline: str = ""


def page(words: Words, body: str, path: Path) -> Path:
    """Write a page around its body."""
    keep = {name: words.meta[name] for name in words.meta if name in SHOWN}
    figures = [f"{k}: {v:.4g}" if isinstance(v, float) else f"{k}: {v}" for k, v in keep.items()]
    foot = "; ".join(["gpuquant", *figures])
    title = html.escape(words.title)
    headline = f"<p class='headline'>{words.headline}</p>" if words.headline else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta '
        'name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1><p "
        f"class='lead'>{html.escape(words.lead)}</p>{headline}{body}<footer>"
        f"{html.escape(foot)}</footer></body></html>"
    )
    disk.write(path, text)
    return path


def tear_sheet(
    words: Words,
    growth: pd.DataFrame,
    returns: pd.Series,
    exposure: pd.DataFrame,
    costs: pd.Series,
    measures: pd.DataFrame,
    path: Path,
) -> Path:
    """Growth (multiples of the start), drawdown, monthly returns, exposure and costs so far, with
    baselines beside the first column.
    """
    dates = growth.index.to_numpy()
    body = _growth(growth) + "<h2>Monthly returns</h2>" + monthly(returns)
    body += svg.lines(dates, _curves(exposure), title="Exposure, target weights", form=".0%")
    body += svg.lines(dates, {"costs": costs.to_numpy()}, title="Costs paid so far", form=",.0f")
    return page(words, body + "<h2>Figures</h2>" + figures(measures), path)


def learning_page(words: Words, frames: tuple[Any, ...], path: Path) -> Path:
    """Learning curves, information coefficients so far, groups of forecasts, importance of features
    and turnover.
    """
    curves, information, groups, importance, turnover = frames
    body = ""
    if len(curves.columns):
        steps = curves.index.to_numpy()
        body += svg.lines(steps, _curves(curves), title="Training loss by step", form=".3g")
    dates = information.index.to_numpy()
    so_far = {"sum": information["cumulative"].to_numpy()}
    body += svg.lines(dates, so_far, title="Information coefficients, summed up", form=".1f")
    body += "<h2>What forecasts were worth</h2>" + _frame(groups)
    body += "<h2>Information lost where a feature is shuffled</h2>" + _frame(importance)
    when, moved = turnover.index.to_numpy(), {"turnover": turnover.to_numpy()}
    return page(words, body + svg.lines(when, moved, title="Turnover", form=".1%"), path)


def _frame(frame: pd.DataFrame) -> str:
    """A frame as a table."""
    return str(frame.reset_index().to_html(index=False, float_format="{:.4g}".format, border=0))


def backtest_page(
    words: Words,
    growth: pd.DataFrame,
    returns: pd.Series,
    measures: pd.DataFrame,
    ratios: pd.Series,
    best: pd.DataFrame,
    path: Path,
) -> Path:
    """One account of a back-test compared with all accounts: `ratios` are the Sharpe ratios of all
    accounts, `best` has a row of measures for each of the best accounts.
    """
    body = _growth(growth) + "<h2>Monthly returns</h2>" + monthly(returns)
    known = ratios[np.isfinite(ratios)]
    if len(known) > 1:
        marks = {"shown": float(measures.iloc[:, 0]["sharpe"]), "median": float(known.median())}
        body += svg.bars(known.to_numpy(), title=str(ratios.name), form=".1f", marks=marks)
    body += "<h2>Figures</h2>" + figures(measures)
    if len(best) > 1:
        forms = [(label, name, form) for label, name, form in FIGURES if name in best]
        rows = [
            [str(account), *(format(float(row[name]), form) for _, name, form in forms)]
            for account, row in best.iterrows()
        ]
        body += "<h2>The best by Sharpe ratio</h2>"
        body += svg.table(["", *(label for label, _, _ in forms)], rows)
    return page(words, body, path)


def risk_page(
    words: Words,
    pnl: pd.Series,
    marks: Mapping[str, float],
    tail: pd.DataFrame,
    contributions: pd.DataFrame,
    failed: pd.DataFrame,
    path: Path,
) -> Path:
    """The distribution of profit and loss with losses marked by name, the tail figures with
    intervals, who contributes (value and contribution of each position), and what has no price.
    """
    at = {name: -loss for name, loss in marks.items()}
    body = svg.bars(pnl.to_numpy(), title="Profit and loss over the scenarios", marks=at)
    rows = [
        [str(r.measure), f"{r.level:.1%}", f"{r.value:,.0f}", f"{r.low:,.0f}", f"{r.high:,.0f}"]
        for r in tail.itertuples()
    ]
    body += "<h2>Tail</h2>" + svg.table(["measure", "level", "loss", "90 % from", "to"], rows)
    body += "<h2>Contributions to the expected shortfall at 97.5 %</h2>" + svg.table(
        ["position", "value", "contribution", "share"], _contributors(contributions)
    )
    if len(failed):
        rows = failed.astype(str).to_numpy().tolist()
        body += "<h2>Without a price</h2>" + svg.table(["position", "why"], rows)
    return page(words, body, path)


def figures(measures: pd.DataFrame) -> str:
    """A table of measures, a row each, a column for each account."""
    table = measures.reindex([name for _, name, _ in FIGURES]).to_numpy(dtype=np.float64)
    rows = [
        [label, *(format(value, form) for value in values)]
        for (label, _, form), values in zip(FIGURES, table.tolist(), strict=True)
    ]
    return svg.table(["", *map(str, measures.columns)], rows)


def _growth(growth: pd.DataFrame) -> str:
    """Curves of growth, and their drawdowns."""
    dates, curves = growth.index.to_numpy(), _curves(growth)
    return svg.lines(
        dates,
        curves,
        title="Equity, multiple of the start (logarithmic)",
        form=",.4g",
        log=bool((growth.to_numpy() > 0.0).all()),
    ) + svg.lines(
        dates,
        {name: drawdown(values) for name, values in curves.items()},
        title="Drawdown",
        form=".0%",
        fill=True,
    )


def _curves(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    return {str(name): values.to_numpy() for name, values in frame.items()}


def _contributors(contributions: pd.DataFrame, most: int = 30) -> list[list[str]]:
    """The positions that contribute most, and the others together."""
    known = contributions.dropna(subset=["contribution"])
    known = known.sort_values("contribution", ascending=False)
    total = float(known["contribution"].sum())
    rows = [
        [
            str(name),
            f"{row['value']:,.0f}",
            f"{row['contribution']:,.0f}",
            f"{row['contribution'] / total:.1%}" if total else "",
        ]
        for name, row in known.head(most).iterrows()
    ]
    others = known["contribution"].iloc[most:]
    if len(others):
        rows.append([f"{len(others)} others", "", f"{float(others.sum()):,.0f}", ""])
    return rows


def drawdown(equity: np.ndarray) -> np.ndarray:
    """Equity over its running peak, minus one."""
    return np.asarray(equity / np.maximum.accumulate(equity) - 1.0)


def monthly(returns: pd.Series) -> str:
    """A table of compound returns, years by months."""
    month = returns.index.to_numpy().astype("datetime64[M]").astype(int)
    # a return of -100 % keeps a finite logarithm
    growth = np.log1p(np.maximum(returns.to_numpy(), -1.0 + 1e-15))
    kinds, inverse = np.unique(month, return_inverse=True)
    by_month = dict(
        zip(kinds.tolist(), np.expm1(np.bincount(inverse, growth)).tolist(), strict=True)
    )
    rows, styles = [], []
    for year in range(int(kinds[0]) // 12, int(kinds[-1]) // 12 + 1):
        values = [by_month.get(year * 12 + m) for m in range(12)]
        known = [v for v in values if v is not None]
        total = float(np.prod([1.0 + v for v in known]) - 1.0) if known else None
        rows.append(
            [
                str(1970 + year),
                *("" if v is None else f"{v:+.1%}" for v in values),
                "" if total is None else f"{total:+.1%}",
            ]
        )
        styles.append(["", *(_shade(v) for v in values), "font-weight:600"])
    return svg.table(["", *MONTHS, "year"], rows, classes=styles)


def _shade(value: float | None) -> str:
    if value is None:
        return ""
    strength = min(abs(value) / 0.08, 1.0) * 0.55
    return f"background:rgba({'47,133,90' if value >= 0 else '197,48,48'},{strength:.2f})"
