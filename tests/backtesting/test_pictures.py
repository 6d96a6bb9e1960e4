"""Every picture of a back-test is drawn, and shows what it says."""

import numpy as np
import pytest

import gpuquant as gq
from gpuquant.errors import InputError, NameUnknown

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture
def grid(walk_panel):
    yield gq.backtest(walk_panel, gq.rules.MovingAverageCross(fast=(3, 5, 8), slow=(15, 20), below="short"))
    plt.close("all")


def test_every_kind_is_drawn(grid):
    from gpuquant.report.plots import KINDS

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
    assert curve[-1] == pytest.approx(gq.measures.sharpe(grid.returns([4]).to_numpy()[-100:, 0], 365.0))
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
    found = grid.honest()
    shown = grid.names([int(found["column"])])[0]
    assert page.index(f"<b>{found['deflated_sharpe']:.2f}</b>") < page.index("<svg")
    assert f"of {len(grid)} trials" in page and page.count(shown) == 2 and "<h2>The best by Sharpe ratio</h2>" in page
    assert "http" not in page and len(page) < 500_000
    alone = grid.account.of(int(found["column"]))
    single = gq.backtest(alone.panel, gq.rules.MovingAverageCross(fast=3, slow=15)).report(tmp_path / "one.html").read_text()
    assert "Nothing is deflated: one trial is counted" in single and "Deflated Sharpe" not in single and "The best by" not in single
