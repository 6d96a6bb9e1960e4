"""The command line: what it prints, what it refuses, what it leaves behind."""

import json

import numpy as np
import pandas as pd
import pytest

from gpuquant.cli import main

BOOK = {
    "product": "european",
    "option_type": "call",
    "strike": [90.0, 100.0],
    "maturity": 1.0,
    "spot": 100.0,
    "rate": 0.02,
    "volatility": [0.2, -0.2],
}


@pytest.fixture
def book(tmp_path):
    pd.DataFrame(BOOK).to_parquet(tmp_path / "book.parquet")
    return str(tmp_path / "book.parquet")


def test_price_writes_every_row_and_says_which_failed(book, tmp_path, capsys):
    out = tmp_path / "priced.parquet"
    assert main(["price", book, "-o", str(out), "--greeks"]) == 1  # a row failed
    frame = pd.read_parquet(out)
    assert (
        list(frame["status"]) == ["ok", "failed"] and "volatility[1] = -0.2" in frame["message"][1]
    )
    said = capsys.readouterr().out
    assert "failed rows: 1" in said and "total value: nan" in said
    assert {"delta", "gamma", "vega", "rho", "theta"} <= set(frame)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["price", "absent.parquet"], "absent.parquet does not exist"),
        (["price", "BOOK", "--device", "cuda:7"], "device='cuda:7' cannot be used"),
        (["price", "BOOK", "--engine", "magic"], "unknown engine 'magic'"),
        (["price", "BOOK", "-o", "x.csv"], "must end in .parquet"),
        (["price", "BOOK", "--paths", "0"], "paths = 0"),
    ],
)
def test_errors_are_one_line(book, arguments, words, capsys):
    assert main([book if a == "BOOK" else a for a in arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and said.startswith("gpuquant: ")


def test_version_and_schema(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert main(["schema"]) == 0
    said = capsys.readouterr().out
    assert (
        said.startswith("gpuquant 0.")
        and "barrier_type" in said
        and "must be finite and >= 0" in said
    )


def test_doctor_finds_itself_well(capsys):
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for word in ("self-test on cpu: passed", "numpy", "CUDA majors", "cache:", "cores"):
        assert word in said


def test_doctor_mends_majors_that_differ(monkeypatch):
    from gpuquant import diagnostics

    monkeypatch.setattr(diagnostics, "cuda_majors", lambda: {"torch": "12", "CuPy": "13"})
    assert "mend: install one major" in str(diagnostics.checkup())


def test_neither_torch_nor_pandas_is_imported_to_price_a_file(book, python, tmp_path):
    out = python(f"""
        import sys
        from gpuquant.cli import main
        main(["price", {book!r}, "-o", {str(tmp_path / "p.parquet")!r}])
        print([m for m in ("torch", "cupy", "numba", "pandas") if m in sys.modules])
        """)
    assert out.strip().endswith("[]"), out


def test_the_demo_at_a_small_size(tmp_path, us20, capsys):
    assert main(["demo", "--small", "-o", str(tmp_path)]) == 0
    left = {p.name for p in tmp_path.iterdir()}
    assert {
        "tearsheet.html",
        "contracts.parquet",
        "market.toml",
        "priced.parquet",
        "forecast.parquet",
        "orders.parquet",
        "summary.json",
    } <= left
    summary = json.loads((tmp_path / "summary.json").read_text())
    for name in (
        "seconds",
        "joules",
        "device",
        "sharpe",
        "sharpe_std_error",
        "equal_weight_sharpe",
        "deflated_sharpe",
        "ic",
        "ic_without",
        "contracts_per_second",
    ):
        assert name in summary
    said = capsys.readouterr().out
    for words in (
        "survivors",
        "out of sample",
        "IC without them",
        "contracts",
        "ran on",
        "equal weight",
    ):
        assert words in said
    priced = pd.read_parquet(tmp_path / "priced.parquet")
    assert len(priced) == 600 and np.isfinite(priced["price"]).all()
