"""Every picture of a back-test is drawn, and shows what it says."""

import re

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from gpuquant.errors import InputError, NameUnknown
from gpuquant.reporting import svg

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture
def grid(walk_panel):
    yield gq.backtest(
        walk_panel, gq.rules.MovingAverageCross(fast=(3, 5, 8), slow=(15, 20), below="short")
    )
    plt.close("all")


def test_every_kind_is_drawn(grid):
    from gpuquant.backtesting.pictures import KINDS

    for kind in KINDS:
        drawn = grid.plot(kind=kind)
        axes = np.atleast_1d(drawn)
        assert all(ax.has_data() for ax in axes), kind
        assert all(ax.get_ylabel() for ax in axes), kind


def test_the_pictures_show_the_numbers(grid):
    heat = grid.plot(kind="heatmap", x="slow", y="fast", measure="calmar")
    table = grid.frame.pivot_table(index="fast", columns="slow", values="calmar", aggfunc="median")
    np.testing.assert_allclose(heat.images[0].get_array(), table)
    below = grid.plot([4], kind="underwater")
    lowest = min(path.vertices[:, 1].min() for path in below.collections[0].get_paths())
    assert lowest == pytest.approx(grid.measures["max_drawdown"][4])
    curve = grid.plot([4], kind="rolling", window=100).lines[0].get_ydata()
    assert curve[-1] == pytest.approx(
        gq.measures.sharpe(grid.returns([4]).to_numpy()[-100:, 0], 365.0)
    )
    exposure = grid.plot([4], kind="exposure")
    assert {line.get_label().split(": ")[-1] for line in exposure.lines} == {"long", "short"}
    long = next(line for line in exposure.lines if line.get_label().endswith("long"))
    assert long.get_ydata().min() >= 0.0 and long.get_ydata().max() == pytest.approx(1.0, abs=0.05)


def test_a_picture_that_cannot_be_drawn_says_why(grid, walk_panel):
    with pytest.raises(NameUnknown, match="unknown kind 'heat'; did you mean 'heatmap'"):
        grid.plot(kind="heat")
    with pytest.raises(NameUnknown, match="unknown measure 'sharp'"):
        grid.plot(kind="distribution", measure="sharp")
    with pytest.raises(InputError, match="needs a grid over two parameters"):
        gq.backtest(walk_panel, gq.rules.MovingAverageCross(fast=3, slow=15)).plot(kind="heatmap")


def test_the_page_leads_with_what_remains_of_the_best(grid, tmp_path):
    page = grid.report(tmp_path / "grid.html").read_text()
    found = grid.deflated_sharpe()
    shown = grid.names([int(found["column"])])[0]
    assert page.index(f"<b>{found['deflated_sharpe']:.2f}</b>") < page.index("<svg")
    assert (
        f"of {len(grid)} trials" in page
        and page.count(shown) == 2
        and "<h2>The best by Sharpe ratio</h2>" in page
    )
    assert "http" not in page and len(page) < 500_000
    alone = grid.account.of(int(found["column"]))
    single = (
        gq.backtest(alone.panel, gq.rules.MovingAverageCross(fast=3, slow=15))
        .report(tmp_path / "one.html")
        .read_text()
    )
    assert (
        "Nothing is deflated: one trial is counted" in single
        and "Deflated Sharpe" not in single
        and "The best by" not in single
    )


SPANS = {
    "two bars": (pd.bdate_range("2024-01-02", periods=2), r"2024-01-02"),
    "a week": (pd.bdate_range("2024-01-01", periods=5), r"2024-01-0\d"),
    "three months": (pd.bdate_range("2024-01-01", periods=64), r"2024-0[123]-\d\d"),
    "thirty years": (pd.bdate_range("1994-01-03", periods=7800), r"20\d\d"),
    "a day of minutes": (
        pd.date_range("2024-01-02 09:30", periods=390, freq="min"),
        r"01-02 1\d:00",
    ),
    "twenty minutes": (pd.date_range("2024-01-02 09:30", periods=20, freq="min"), r"01-02 09:\d\d"),
}


@pytest.mark.parametrize("name", SPANS)
def test_a_chart_has_date_labels_at_any_span(name):
    index, pattern = SPANS[name]
    marks = svg.date_marks(index.to_numpy())
    assert 2 <= len(marks) <= 11 and all(0 <= place < len(index) for place, _ in marks)
    assert sum(bool(re.fullmatch(pattern, label)) for _, label in marks) >= 1, marks
    assert len({label for _, label in marks}) == len(marks), marks
    chart = svg.lines(index.to_numpy(), {"x": np.arange(len(index), dtype=float)}, title="x")
    assert all(f">{label}<" in chart for _, label in marks)


def test_a_chart_keeps_the_extremes_of_every_pixel():
    """Spikes of one bar anywhere, up and down, are drawn; a mutant that thins out evenly loses
    them.
    """
    draw = np.random.default_rng(0)
    values = draw.normal(0.0, 0.01, 50_000)
    spikes = draw.choice(780, 40, replace=False) * 64 + draw.integers(
        5, 60, 40
    )  # in pixels of their own
    values[spikes] += np.where(np.arange(40) % 2, 5.0, -5.0)
    x = np.arange(50_000) / 50_000 * 780
    kept = svg.extremes(values, x)
    assert set(spikes) <= set(kept) and len(kept) < 4 * 781
    for pixel in range(0, 780, 17):
        inside = np.flatnonzero(np.floor(x) == pixel)
        drawn = values[np.intersect1d(kept, inside)]
        assert drawn.min() == values[inside].min() and drawn.max() == values[inside].max()
    thinned = np.unique(np.linspace(0, 49_999, 800).astype(int))
    assert not set(spikes) <= set(thinned)
    assert svg.extremes(np.full(5, np.nan), np.arange(5.0)).size == 0


def test_no_number_reads_better_than_it_is(walk_panel, tmp_path):
    """Free trading says so everywhere, and two weeks are days, not 0.0 years."""
    rule = gq.rules.MovingAverageCross(fast=(2, 3), slow=(5, 8))
    short = walk_panel.rows(np.arange(14))
    free = gq.backtest(short, rule)
    page = free.report(tmp_path / "free.html").read_text()
    assert (
        "Trading is free here" in page
        and "trading is free here" in free.summary()
        and free.meta["costs"].startswith("none")
    )
    paid = gq.backtest(short, rule, costs=gq.costs.Proportional(rate=0.001))
    assert (
        "free" not in paid.summary()
        and "free here" not in paid.report(tmp_path / "paid.html").read_text()
        and "Proportional" in paid.meta["costs"]
    )
    for text in (page, free.summary(), paid.summary()):
        assert "0.0 years" not in text and "nan years" not in text
    assert "there are 13.0 days" in free.summary()
