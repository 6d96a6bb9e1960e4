"""Notebooks and strategies run, and notebooks are stored with the outputs of a run."""

import json
import re

import pytest

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OF_A_MACHINE = re.compile(r"/(home|root|tmp|work|Users|usr)/|Traceback|[Ww]arning")


def outputs(notebook):
    return [o for cell in notebook["cells"] if cell["cell_type"] == "code" for o in cell["outputs"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path, us20):
    for package in ("nbformat", "nbclient", "ipykernel"):
        pytest.importorskip(package)
    from docs import notebooks

    made = notebooks.run(path)
    assert any("image/png" in one.get("data", {}) for one in outputs(made))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_stored_with_its_outputs(path):
    stored = json.loads(path.read_text())
    counts = [c["execution_count"] for c in stored["cells"] if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1)), "run `make notebooks`"
    assert any("image/png" in one.get("data", {}) for one in outputs(stored))
    for one in outputs(stored):
        text = json.dumps({k: v for k, v in one.items() if k != "data"})
        text += json.dumps({k: v for k, v in one.get("data", {}).items() if k != "image/png"})
        assert not OF_A_MACHINE.search(text), text[:400]


def test_the_strategy_runs_at_a_small_size(us20, capsys):
    from strategies import trained_momentum

    trained_momentum.main(us20.between("2010-01-01"), train="5Y", test="4Y", steps=10)
    assert "equal weight" in capsys.readouterr().out
