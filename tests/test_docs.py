"""Every command and block of the README and the docs runs, and prints what the page says it
prints.
"""

import importlib
import inspect
import re
import runpy
import shlex
import subprocess

import numpy as np
import pandas as pd
import pytest

import gpuquant as gq
from docs import tables
from gpuquant import features
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
MAKE = sorted(set(re.findall(r"`?\b(make [a-z-]+)", README)))


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def test_the_readme_prints_what_it_says(us20, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(README, "python")[0], "<README>", "exec"), {})
    printed, promised = capsys.readouterr().out.split(), blocks(README, "text")[0].split()
    assert len(printed) == len(promised), printed
    for one, other in zip(printed, promised, strict=True):
        try:
            assert float(one) == pytest.approx(
                float(other), abs=2e-3
            )  # the last digit, on other processors
        except ValueError:
            assert one == other


def test_extending_runs(capsys, tmp_path):
    path, pages = (
        tmp_path / "extending.py",
        blocks((ROOT / "docs" / "extending.md").read_text(), "python"),
    )
    for page in pages[:2]:  # a model and a payoff, and a payoff of several assets
        path.write_text(page)
        runpy.run_path(str(path))
        price, error = map(float, capsys.readouterr().out.split())
        assert price > 10 * error > 0
    path.write_text(pages[2])
    grid = runpy.run_path(str(path))["grid"].frame
    assert len(grid) == 3 and (grid["orders"] > 0).all(), grid


def test_learning_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = "\n".join(blocks((ROOT / "docs" / "learning.md").read_text(), "python"))
    scope: dict = {}
    exec(compile(page, "<learning>", "exec"), scope)
    assert len(scope["found"].frame) == 2 and scope["upper"].shape == (1500, 2)
    families = {n for n in dir(features) if not n.startswith("_")}
    told = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "learning.md").read_text()))
    assert families - told <= {
        "Feature",
        "PriceFeature",
        "WindowFeature",
        "AcrossAssets",
        "FeatureTable",
    }
    assert abs(scope["mean"]) < 4 * scope["error"]
    assert scope["first"].history.validation.shape[0] == 2
    assert np.isfinite(scope["trained"].trained.forecast.values[700:, 5]).any()


def test_backtesting_runs(capsys):
    (page,) = blocks((ROOT / "docs" / "backtesting.md").read_text(), "python")
    scope: dict = {}
    exec(compile(page, "<backtesting>", "exec"), scope)
    assert len(scope["grid"]) == 16 and capsys.readouterr().out.startswith("deflated Sharpe")
    text = (ROOT / "docs" / "backtesting.md").read_text()
    told = scope["gq"].backtest(scope["bars"], scope["rule"], benchmark="equal_weight")
    assert f"{len(scope['grid'].measures)} measures, {len(told.measures)} with a benchmark" in text


# what a page may name besides modules of the library: packages, and objects of its own examples
ELSEWHERE = {
    "account", "m", "math", "nn", "numba", "past", "prices", "ptx", "records", "result", "run",
    "tensor", "torch", "twin", "typing",
}  # fmt: skip


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))],
)
def test_a_dotted_name_in_a_page_exists(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
    for name in re.findall(r"`((?:[a-z_]+\.)+[A-Za-z_]+)\b", text):
        first, *rest = name.split(".")
        if first in ELSEWHERE or rest[-1] in ("py", "json", "toml", "md", "html", "parquet"):
            continue
        thing = gq if first in ("gq", "gpuquant") else getattr(gq, first)
        for part in rest:
            if inspect.ismodule(thing) and not hasattr(thing, part):
                importlib.import_module(f"{thing.__name__}.{part}")
            thing = getattr(thing, part)


@pytest.mark.parametrize("name", ["reading", "safety", "debugging"])
def test_a_page_prints_what_it_says(name, capsys, tmp_path, monkeypatch):
    page = (ROOT / "docs" / f"{name}.md").read_text()
    monkeypatch.chdir(tmp_path)
    examples = list(zip(blocks(page, "python"), blocks(page, "text"), strict=True))
    assert examples
    for source, printed in examples:
        exec(compile(source, f"<{name}>", "exec"), {})
        assert capsys.readouterr().out == printed


@pytest.fixture(scope="module")
def contributed(tmp_path_factory):
    """The members that CONTRIBUTING.md adds."""
    path = tmp_path_factory.mktemp("added") / "contributed.py"
    path.write_text("\n\n".join(blocks((ROOT / "CONTRIBUTING.md").read_text(), "python")))
    return runpy.run_path(str(path))


def test_a_contributed_model_and_payoff_price(contributed):
    """A straddle at the money is worth volatility sqrt(2 T / pi) under a normal price."""
    model = contributed["Bachelier"](spot=100.0, volatility=10.0)
    found = gq.price(contributed["Straddle"](strike=100.0, maturity=1.0), model, paths=20_000)
    assert abs(found.value - 10.0 * np.sqrt(2.0 / np.pi)) < 4.0 * found.std_error


def test_a_contributed_rule_trades(contributed):
    prices = pd.DataFrame(
        100.0 + np.arange(60.0) % 5.0, pd.bdate_range("2024-01-01", periods=60), ["A"]
    )
    found = gq.backtest(prices, contributed["Reversal"](window=(2, 3)), progress=False)
    assert len(found) == 2 and (found.measures["orders"] > 5).all()


def test_a_contributed_feature_and_network_learn(contributed):
    draw = np.random.default_rng(1)
    prices = pd.DataFrame(
        100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, (300, 2)), axis=0)),
        pd.bdate_range("2020-01-01", periods=300),
        ["A", "B"],
    )
    learner = gq.learn.Learner(
        contributed["Linear"](), ensemble=2, training=gq.learn.TrainingConfig(steps=5)
    )
    strategy = gq.Strategy(
        features=[contributed["Drop"]()], learner=learner, sizing=gq.sizing.Equal()
    )
    walk = gq.splits.WalkForward(train="7M", test="2M")
    trained = strategy.train(prices, splits=walk, progress=False)
    assert np.isfinite(trained.trained.forecast.values[160:]).any()


def test_no_text_cites_a_document_that_is_not_here():
    pattern = "(HOUSE|STYLE|STORIES)" + r"\.md"
    said = subprocess.run(
        ["git", "grep", "-nIE", pattern], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    assert not said


@pytest.mark.parametrize("command", MAKE)
def test_make_knows_its_targets(command):
    done = subprocess.run(
        [*shlex.split(command), "-n"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "line",
    [
        line
        for block in blocks(README, "sh")
        for line in block.strip().splitlines()
        if line.startswith("gpuquant")
    ],
)
def test_shell_lines_run(line, capsys):
    from gpuquant.cli import main

    assert main(shlex.split(line)[1:]) == 0
    assert capsys.readouterr().out


@pytest.mark.slow
def test_make_demo_runs(tmp_path):
    done = subprocess.run(
        ["make", "demo"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert "out/demo/tearsheet.html" in done.stdout


def test_links_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_tables_are_made_from_results():
    assert (ROOT / "docs" / "speed.md").read_text() == tables.speed(), "run `make docs`"
    assert (ROOT / "docs" / "accuracy.md").read_text() == tables.accuracy(), "run `make docs`"
    assert (ROOT / "docs" / "members.md").read_text() == tables.members(), "run `make docs`"
