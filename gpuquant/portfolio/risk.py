"""Risk: profits and losses of every position in every scenario, and what they say about the
tail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import measures
from gpuquant.errors import unknown
from gpuquant.sums import tail_mass

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Risk:
    """Full revaluation of a book.

    Attributes
    ----------
    pnl : DataFrame, shape (scenarios, positions)
        Value in the scenario minus value today; NaN where a position has no price.
    value : Series, shape (positions,)
        Value today.
    overlap : int
        One plus the number of bars by which neighbouring scenarios overlap. The bootstrap of the
        intervals draws blocks of this length.
    messages : Series, shape (positions,)
        A message for each position, such as why the position has no price today, or why it has
        none in the first scenario that fails.
    status : Series, shape (positions,)
        ok, warning, or failed: without a price today or in any scenario.
    partial : bool
        True: totals leave out the failed positions. False: totals are NaN where a position failed.
    """

    pnl: pd.DataFrame
    value: pd.Series
    overlap: int = 1
    meta: dict[str, Any] = field(default_factory=dict)
    messages: pd.Series | None = None
    status: pd.Series | None = None
    partial: bool = False

    @property
    def failed(self) -> pd.DataFrame:
        """The positions that have no price today or in a scenario, each with its message."""
        import pandas as pd

        lost = self._lost
        reasons = np.full(len(lost), "") if self.messages is None else self.messages.to_numpy()
        return pd.DataFrame({"position": self.pnl.columns[lost], "message": reasons[lost]})

    @property
    def _lost(self) -> np.ndarray:
        """A mask of the positions without a price, today or in a scenario."""
        return np.asarray(self.pnl.isna().any(axis=0).to_numpy() | self.value.isna().to_numpy())

    @property
    def _counted(self) -> np.ndarray:
        """A mask of the positions that the totals include. Where no position has a price the mask
        includes all of them, and the totals are NaN.
        """
        return (
            ~self._lost if self.partial and not self._lost.all() else np.ones(len(self._lost), bool)
        )

    @property
    def total(self) -> np.ndarray:
        """Profit or loss of the whole book, shape (scenarios,); NaN where a position has no
        price, unless `partial=True` was asked for.
        """
        return self.pnl.to_numpy()[:, self._counted].sum(axis=1)

    def var(self, level: float = 0.99) -> float:
        """Value at risk: the loss exceeded with probability 1 - level, positive."""
        return measures.value_at_risk(self.total, measures.level_of(level))

    def expected_shortfall(self, level: float = 0.975) -> float:
        """Mean loss in the worst 1 - level of scenarios, positive."""
        return measures.expected_shortfall(self.total, measures.level_of(level))

    def interval(self, measure: str, level: float, confidence: float = 0.9) -> tuple[float, float]:
        """A block-bootstrap interval of `var` or `expected_shortfall`; blocks as long as
        scenarios overlap.
        """
        functions = {
            "var": measures.value_at_risk,
            "expected_shortfall": measures.expected_shortfall,
        }
        if measure not in functions:
            raise unknown("measure", measure, functions)
        function = functions[measure]
        total, generator = self.total, np.random.default_rng(0)
        n, block = len(total), min(max(self.overlap, 1), len(total))
        starts = generator.integers(0, n, (400, math.ceil(n / block)))
        rows = (starts[:, :, None] + np.arange(block)).reshape(400, -1)[:, :n] % n
        drawn = [function(total[r], level) for r in rows]
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)

    @property
    def frame(self) -> pd.DataFrame:
        """VaR and expected shortfall at the usual levels, with 90 % intervals."""
        import pandas as pd

        rows = []
        for measure, level in (
            ("var", 0.95),
            ("var", 0.99),
            ("expected_shortfall", 0.95),
            ("expected_shortfall", 0.975),
            ("expected_shortfall", 0.99),
        ):
            low, high = self.interval(measure, level)
            rows.append(
                {
                    "measure": measure,
                    "level": level,
                    "value": getattr(self, measure)(level),
                    "low": low,
                    "high": high,
                }
            )
        return pd.DataFrame(rows)

    def contributions(self, level: float = 0.975) -> pd.Series:
        """What each position adds to the expected shortfall; they sum to it (Euler's theorem;
        Tasche, 1999).
        """
        import pandas as pd

        total = self.total
        if np.isnan(total).any():
            return pd.Series(np.nan, index=self.pnl.columns, name="contribution")
        order = np.argsort(total, kind="stable")
        mass = max(tail_mass(measures.level_of(level), len(total)), 1.0)
        share = np.clip(mass - np.arange(len(total)), 0.0, 1.0)
        return pd.Series(
            -(self.pnl.to_numpy()[order] * share[:, None]).sum(axis=0) / mass,
            index=self.pnl.columns,
            name="contribution",
        )

    def summary(self) -> str:
        """A few lines."""
        money = f" {self.currency}" if self.currency else ""
        lines = [
            (
                f"{len(self.pnl)} scenarios of {self.pnl.shape[1]} positions worth "
                f"{self.worth:,.0f}{money}"
            ),
            (
                f"VaR 99 %: {self.var(0.99):,.0f}; expected shortfall 97.5 %: "
                f"{self.expected_shortfall(0.975):,.0f}; worst: {-self.total.min():,.0f}"
            ),
        ]
        lost = self.failed
        if len(lost):
            left_out = "left out" if self.partial else "totals are NaN unless partial=True"
            lines.append(
                "without a price: "
                f"{', '.join(lost['position'][:5])}{', ...' if len(lost) > 5 else ''} "
                f"({left_out}); first: {lost['message'].iloc[0]}"
            )
        return "\n".join(lines)

    @property
    def currency(self) -> str:
        """The currency of all values; empty where no position names one."""
        return str(self.meta.get("currency", ""))

    @property
    def worth(self) -> float:
        """Value of the book today; NaN where a position has no price, unless `partial` is True."""
        return float(self.value.to_numpy()[self._counted].sum())

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(self.summary())}</pre>{self.frame.to_html(index=False)}"

    def plot(self, ax: Any = None) -> Any:
        """Distribution of the book's profit and loss with VaR and expected shortfall."""
        from gpuquant.reporting.plots import pnl_plot

        marks = {"VaR 99 %": self.var(0.99), "ES 97.5 %": self.expected_shortfall(0.975)}
        return pnl_plot(self.total, marks, ax)

    def report(self, path: str | Path) -> Path:
        """One offline HTML file."""
        from gpuquant.portfolio.pages import risk_page

        return risk_page(self, path)
