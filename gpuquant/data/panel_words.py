"""A panel in words, for people to see whether they were understood."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gpuquant.data.panel import Panel

EXTRA = ("volume", "splits", "dividends", "delistings")  # what is named after the prices


def words(panel: Panel) -> dict[str, str]:
    """What a panel holds, a sentence for each kind of fact."""
    names = ", ".join(panel.assets[:4]) + (
        f", ... {panel.assets[-1]}" if len(panel.assets) > 4 else ""
    )
    fields = [
        name
        for name in ("open", "high", "low", "close", *EXTRA)
        if name == "close" or name in panel.extra_fields()
    ]
    first, last = panel.index[[0, -1]]
    bare = (panel.clock == panel.clock.astype("datetime64[D]")).all()
    span = f"{first.date()} to {last.date()}" if bare else f"{first} to {last}"
    a_year = (
        "bars a year not known"
        if np.isnan(panel.frequency.periods)
        else f"{panel.frequency.periods:g} a year"
    )
    facts = {
        "Panel of": (
            f"{len(panel.assets):,} asset{'s' * (len(panel.assets) != 1)} ({names}): "
            f"{', '.join(fields)}"
        ),
        "bars": f"{panel.bars:,} bars from {span}, {panel.frequency.label} ({a_year})",
    }
    if panel.timezone is not None:
        facts["time zone"] = f"time zone {panel.timezone}"
    if panel.adjusted is not None:
        facts["adjusted"] = (
            "adjusted for splits and dividends" if panel.adjusted else "not adjusted"
        )
    if panel.allow_halts:
        facts["halts"] = "a missing price is a halt"
    return facts


def words_in_a_line(panel: Panel) -> str:
    """The words of a panel in one line, as its repr."""
    return "; ".join(
        f"{name} {text}" if name == "Panel of" else text for name, text in words(panel).items()
    )


def words_in_html(panel: Panel) -> str:
    """The words of a panel as a table."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{name}</th>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in words(panel).items()
    )
    return f"<table>{rows}</table>"
