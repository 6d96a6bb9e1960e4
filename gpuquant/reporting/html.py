"""Pages: a tear sheet of a fund, a back-test and a risk report, each one offline HTML file below
500 kB.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import numpy as np

from gpuquant import disk
from gpuquant.reporting import svg

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
ONE_TRIAL = (
    "Nothing is deflated: one trial is counted, and a ledger (ledger=, or with "
    "TrialLog(path):) counts all that is tried."
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def page(title: str, lead: str, body: str, meta: dict[str, Any], path: Path) -> Path:
    """Write a page around its body."""
    keep = {
        k: v
        for k, v in meta.items()
        if k
        in (
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
        )
    }
    foot = "; ".join(
        f"{k}: {v:.4g}" if isinstance(v, float) else f"{k}: {v}" for k, v in keep.items()
    )
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta '
        'name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{html.escape(title)}</h1><p "
        f"class='lead'>{html.escape(lead)}</p>{body}<footer>gpuquant; "
        f"{html.escape(foot)}</footer></body></html>"
    )
    disk.write(path, text)
    return path


def _fund_charts(fund: Any, dates: np.ndarray, own: np.ndarray, naive: np.ndarray) -> list[str]:
    """Equity, drawdown, exposure and costs of a fund, its baseline beside it."""
    start = fund.account.account.cash
    weights = np.nan_to_num(fund.weights)
    fees = np.zeros(len(dates))
    orders = fund.orders()
    np.add.at(fees, orders["bar"].to_numpy(), orders["fee"].to_numpy())
    return [
        svg.lines(
            dates,
            {"fund": own / start, "equal weight": naive / start},
            title="Equity, multiple of the start (logarithmic)",
            form=",.4g",
            log=True,
        ),
        svg.lines(
            dates,
            {"fund": drawdown(own), "equal weight": drawdown(naive)},
            title="Drawdown",
            form=".0%",
            fill=True,
        ),
        svg.lines(
            dates,
            {"gross": np.abs(weights).sum(1), "net": weights.sum(1)},
            title="Exposure, target weights",
            form=".0%",
        ),
        svg.lines(dates, {"costs": np.cumsum(fees)}, title="Costs paid so far", form=",.0f"),
    ]


def tear_sheet(fund: Any, baseline: Any, path: Any) -> Path:
    """Equity, drawdown, monthly returns, exposure and costs of a fund, with the baseline beside
    it.
    """
    path = disk.ready(path, "report", parents=True)  # before the work of making it
    dates = fund.panel.clock
    own, naive = fund.equity.to_numpy(), baseline.equity()[0].to_numpy()
    returns = fund.returns.to_numpy()
    trials = fund.ledger.trials()[0] if fund.ledger else 1
    span = dates.astype("datetime64[D]")
    costs = "without costs: trading is free here" if fund.costs is None else "after costs"
    lead = (
        f"Out of sample {span[0]} to {span[-1]}, {len(fund.panel.assets)} assets, {costs}, "
        f"filled at the {'next bar' if fund.meta['fill'] == 'next' else 'same close'}."
    )
    ratio, error = (float(fund.account.measures[name][0]) for name in ("sharpe", "sharpe_error"))
    deflated = (
        f"Deflated Sharpe: probability <b>{fund.deflated_sharpe():.2f}</b> of a Sharpe ratio "
        f"above the luck of {trials} recorded trials; "
    )
    headline = (
        f"<p class='headline'>{deflated if trials > 1 else ''}"
        f"Sharpe {ratio:.2f} &plusmn; {error:.2f}; information coefficient "
        f"{fund.ic[0]:+.4f} &plusmn; {fund.ic[1]:.4f}. "
        "Holding a rising market counts as skill here, so read it beside the "
        f"baseline.{'' if trials > 1 else ' ' + ONE_TRIAL}</p>"
    )
    charts = _fund_charts(fund, dates, own, naive)
    figures = [
        (
            label,
            format(float(fund.account.measures[k][0]), form),
            format(float(baseline.measures[k][0]), form),
        )
        for label, k, form in FIGURES
    ]
    body = (
        headline
        + "".join(charts[:2])
        + "<h2>Monthly returns</h2>"
        + monthly(dates, returns)
        + "".join(charts[2:])
        + "<h2>Figures</h2>"
    )
    body += svg.table(["", "fund", "equal weight"], figures)
    return page("Tear sheet", lead, body, fund.meta, path)


def _best_columns(found: Any) -> str:
    """The twenty columns with the highest Sharpe ratios."""
    m = found.measures
    order = np.argsort(-np.nan_to_num(m["sharpe"], nan=-np.inf), kind="stable")[:20]
    some = ("sharpe", "total_return", "max_drawdown", "orders")
    shown = [(label, k, form) for label, k, form in FIGURES if k in some]
    rows = [
        [found.names([c])[0], *(format(float(m[k][c]), form) for _, k, form in shown)]
        for c in order
    ]
    return svg.table(["", *(label for label, _, _ in shown)], rows)


def backtest_page(found: Any, path: Any) -> Path:
    """The best column of a back-test, what remains of it when all that were tried are counted,
    and where it lies among them.
    """
    path = disk.ready(path, "report", parents=True)  # before the work of making it
    m, account = found.measures, found.account
    best = found.deflated_sharpe()
    column, trials = int(best["column"]), int(best["trials"])
    dates, equity = account.panel.clock, found.equity([column]).to_numpy()[:, 0]
    returns = found.returns([column]).to_numpy()[:, 0]
    span = dates.astype("datetime64[D]")
    free = " Trading is free here: no costs were given." if account.free else ""
    lead = (
        f"{span[0]} to {span[-1]}, {trials} column{'s' if trials != 1 else ''} tried; shown "
        f"is {found.names([column])[0]}.{free}"
    )
    deflated = (
        f"Deflated Sharpe: probability <b>{best['deflated_sharpe']:.2f}</b> of a Sharpe ratio "
        f"above the luck of {trials} trials. "
    )
    sharpe = f"Sharpe {best['sharpe']:.2f} &plusmn; {m['sharpe_error'][column]:.2f}"
    if trials > 1:
        headline = f"{deflated}{sharpe}; {html.escape(found.needed(best))}."
    else:
        headline = f"{sharpe}. {ONE_TRIAL}"
    headline = f"<p class='headline'>{headline}</p>"
    body = headline + svg.lines(
        dates,
        {"equity": equity / account.cash},
        title="Equity, multiple of the start (logarithmic)",
        form=",.4g",
        log=bool(equity.min() > 0.0),
    )
    body += (
        svg.lines(dates, {"drawdown": drawdown(equity)}, title="Drawdown", form=".0%", fill=True)
        + "<h2>Monthly returns</h2>"
        + monthly(dates, returns)
    )
    known = m["sharpe"][np.isfinite(m["sharpe"])]
    if known.size > 1:
        body += svg.bars(
            known,
            title=(
                f"Sharpe ratio of the {len(known)} "
                f"columns{' kept' if len(found) < account.columns else ''}"
            ),
            form=".1f",
            marks={"shown": best["sharpe"], "median": float(np.median(known))},
        )
    body += "<h2>Figures</h2>" + svg.table(
        ["", "shown"], [(label, format(float(m[k][column]), form)) for label, k, form in FIGURES]
    )
    if len(found) > 1:
        body += "<h2>The best by Sharpe ratio</h2>" + _best_columns(found)
    return page("Back-test", lead, body, found.meta, path)


def drawdown(equity: np.ndarray) -> np.ndarray:
    """Equity over its running peak, minus one."""
    return np.asarray(equity / np.maximum.accumulate(equity) - 1.0)


def monthly(dates: np.ndarray, returns: np.ndarray) -> str:
    """A table of compound returns, years by months."""
    month = (
        dates[-len(returns) :].astype("datetime64[M]").astype(int)
    )  # the first bar has no return
    growth = np.log1p(np.maximum(returns, -1.0 + 1e-15))  # what loses everything stays finite
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


def risk_page(risk: Any, path: Any) -> Path:
    """The distribution of profit and loss, the tail figures with intervals, and who contributes."""
    path = disk.ready(path, "report", parents=True)  # before the work of making it
    frame = risk.frame
    rows = [
        [str(r.measure), f"{r.level:.1%}", f"{r.value:,.0f}", f"{r.low:,.0f}", f"{r.high:,.0f}"]
        for r in frame.itertuples()
    ]
    share = risk.contributions().dropna().sort_values(ascending=False)
    kept = share.head(30)
    total = float(share.sum())
    who = [
        [
            str(name),
            f"{risk.value[str(name)]:,.0f}",
            f"{v:,.0f}",
            f"{v / total:.1%}" if total else "",
        ]
        for name, v in kept.items()
    ]
    if len(share) > len(kept):
        who.append(
            [
                f"{len(share) - len(kept)} others",
                "",
                f"{float(share.iloc[len(kept) :].sum()):,.0f}",
                "",
            ]
        )
    marks = {"VaR 99 %": -risk.var(0.99), "ES 97.5 %": -risk.expected_shortfall(0.975)}
    body = svg.bars(risk.total, title="Profit and loss over the scenarios", marks=marks)
    body += "<h2>Tail</h2>" + svg.table(["measure", "level", "loss", "90 % from", "to"], rows)
    body += "<h2>Contributions to the expected shortfall at 97.5 %</h2>" + svg.table(
        ["position", "value", "contribution", "share"], who
    )
    lead = (
        f"{len(risk.pnl)} scenarios, {risk.pnl.shape[1]} positions worth "
        f"{risk.worth:,.0f}{f' {risk.currency}' if risk.currency else ''}, every position "
        "revalued in full."
    )
    lost = risk.failed
    if len(lost):
        body += "<h2>Without a price</h2>" + svg.table(
            ["position", "why"], lost.astype(str).to_numpy().tolist()
        )
        lead += (
            f" {len(lost)} without a "
            f"price{' are left out' if risk.partial else ': totals are not known'}."
        )
    return page("Risk", lead, body, risk.meta, path)
