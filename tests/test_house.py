"""The house: floors, single homes, light imports, fresh stubs, files and functions of one idea."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gpuquant
from gpuquant import family
from gpuquant.costs.base import Cost
from gpuquant.data.columns import describe, domains
from gpuquant.features.base import Feature
from gpuquant.models.base import Model
from gpuquant.payoffs.base import Payoff
from gpuquant.pricing.results import RESULT_COLUMNS
from gpuquant.rules.base import Rule

PACKAGE = Path(gpuquant.__file__).parent
FLOORS = (
    {
        "errors",
        "system",
        "shown",
        "forks",
        "disk",
        "family",
        "params",
        "meter",
        "progress",
        "_version",
    },
    {"math"},
    {"compiler"},
    {"device"},
    {
        "data",
        "forecast",
        "measures",
        "trade_measures",
        "sums",
        "serialize",
        "reporting",
        "indicators",
    },
    {"models", "payoffs", "rules", "costs", "sizing"},
    {"pricing", "backtesting", "validation"},
    {"features"},
    {"learn"},
    {"portfolio", "cli", "demo", "diagnostics"},
)
FLOOR = {name: k for k, names in enumerate(FLOORS) for name in names}
MEMBERS = FLOOR["models"]
HOMES = {
    "cupy": "device",
    "cupyx": "device",
    "numba": "nowhere",
    "llvmlite": "compiler",
    "torch": "learn",
    "safetensors": "learn",
    "cvxpy": "portfolio",
    "matplotlib": "reporting",
}


def files():
    return sorted(p for p in PACKAGE.rglob("*.py"))


def imports(path):
    """(module, line) of every import of a file, but for those that only a type checker reads."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(n)
        for i in ast.walk(tree)
        if isinstance(i, ast.If) and "TYPE_CHECKING" in ast.unparse(i.test)
        for n in ast.walk(i)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        names = (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if isinstance(node, ast.ImportFrom) and node.module == "gpuquant":
            names = [f"gpuquant.{a.name}" for a in node.names]
        for name in names:
            yield name, node.lineno


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards(path):
    relative = path.relative_to(PACKAGE)
    room = relative.parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in FLOOR, f"{relative} stands on no floor"
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] != "gpuquant" or len(parts) < 2:
            continue
        floor = FLOOR[parts[1]]
        assert floor <= FLOOR[room], f"{relative}:{line} imports {name}, which is above it"
        if floor == MEMBERS and FLOOR[room] == MEMBERS:
            assert parts[1] == room or parts[-1] == "base", (
                f"{relative}:{line} imports the sibling {name}"
            )
        if FLOOR[room] == MEMBERS + 1 and floor == MEMBERS:
            assert parts[-1] in ("base", "models", "payoffs", "rules", "lognormal", "laws"), (
                f"{relative}:{line} knows the concrete member {name}"
            )


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_packages_have_one_home(path):
    relative = path.relative_to(PACKAGE)
    for name, line in imports(path):
        home = HOMES.get(name.split(".")[0])
        if home:
            assert relative.parts[0] == home, (
                f"{relative}:{line} imports {name}, whose home is {home}"
            )


ENTRIES = {
    "backtest",
    "price",
    "describe",
    "implied_volatility",
    "search",
}  # public functions whose arguments people name


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_have_one_idea(path):
    """A file of 350 lines, a function of 60 without its docstring and of nine arguments at most."""
    text = path.read_text()
    assert text.count("\n") <= 350, f"{path.name}: what is the second idea in it?"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            where = f"{path.name}:{node.lineno} {node.name}"
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node):
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            assert lines <= 60, f"{where} has {lines} lines"
            taken = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
            count = len(taken) - (taken[:1] in (["self"], ["cls"]))
            assert count <= 9 or node.name in ENTRIES, f"{where} takes {count} arguments"


def test_a_long_function_is_seen(tmp_path):
    """The mutant."""
    path = tmp_path / "long.py"
    path.write_text("def f():\n" + "    x = 1\n" * 61)
    with pytest.raises(AssertionError, match="has 62 lines"):
        test_files_and_functions_have_one_idea(path)


def test_importing_is_light(python):
    heavy = python(
        """
        import sys, gpuquant
        heavy = "torch cupy numba llvmlite pandas scipy pyarrow numpy tqdm".split()
        print([m for m in heavy if m in sys.modules])
        """
    )
    assert heavy.strip() == "[]"
    loaded = python(
        """
        import sys, gpuquant as gq
        call = gq.payoffs.European(option_type="call", strike=1.0, maturity=1.0)
        gq.price(call, gq.models.BlackScholes(spot=1.0, rate=0.0, volatility=0.2))
        print([m for m in ("torch", "cupy", "numba", "pandas") if m in sys.modules])
        """
    )
    assert loaded.strip() == "[]"


def test_public_names_resolve():
    for name in gpuquant.__all__:
        assert getattr(gpuquant, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = gpuquant.nonsense
    with pytest.raises(AttributeError, match="did you mean 'Heston'"):
        _ = gpuquant.models.Hestn


@pytest.mark.parametrize("name", family.FAMILIES)
def test_stubs_are_fresh(name):
    package = PACKAGE.joinpath(*name.split("."))
    assert (package / "__init__.pyi").read_text() == family.stub(f"gpuquant.{name}"), (
        "run `make stubs`"
    )


def test_the_librarys_own_stub_is_fresh():
    assert (PACKAGE / "__init__.pyi").read_text() == family.public_stub(), "run `make stubs`"


MISTAKES = """
import gpuquant as gq
import numpy as np

flat = gq.models.BlackScholes(spot=100.0, rate=0.02, volatility=0.2)
call = gq.payoffs.European(option_type="call", strike=100.0, maturity=1.0)
fine = gq.price(call, flat, paths=1000)
account = gq.backtest(np.ones((9, 2)), weights=np.ones((9, 2)))
gq.price(call, flat, paths="many")  # 1
gq.prize(call, flat)  # 2
gq.models.BlackScoles(spot=100.0)  # 3
gq.backtest(np.ones((9, 2)), fil="next")  # 4
gq.Portfolio(positions=3)  # 5
gq.Contracts.from_frme(None)  # 6
account.sumary()  # 7
gq.Market.read(3.5)  # 8
"""


def test_a_type_checker_sees_eight_mistakes_of_eight(tmp_path):
    """Through the public names alone, as mypy --strict and an editor see them."""
    path = tmp_path / "mistakes.py"
    path.write_text(MISTAKES)
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--ignore-missing-imports",
        "--follow-imports",
        "silent",
        "--config-file",
        "",
        str(path),
    ]
    said = subprocess.run(
        command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False
    ).stdout
    seen = {
        int(found[1]) for found in re.finditer(r"mistakes\.py:(\d+): error", said)
    }  # of a run before, where its path is kept
    wanted = {
        k
        for k, line in enumerate(MISTAKES.splitlines(), 1)
        if line.rstrip().endswith(tuple(f"# {n}" for n in range(1, 9)))
    }
    assert seen == wanted, said


def test_an_editor_completes_the_public_names():
    jedi = pytest.importorskip("jedi")
    offered = {
        one.name
        for one in jedi.Script(
            "import gpuquant as gq\ngq.", project=jedi.Project(str(PACKAGE.parent))
        ).complete(2, 3)
    }
    assert {*gpuquant.__all__} - {"__version__"} <= offered


def members():
    for base, package in ((Model, "models"), (Payoff, "payoffs"), (Rule, "rules"), (Cost, "costs")):
        for cls in family.members(base, f"gpuquant.{package}").values():
            if cls.__module__.startswith("gpuquant."):
                yield cls


@pytest.mark.parametrize("cls", list(members()), ids=lambda c: c.__name__)
def test_members_say_what_their_columns_are(cls):
    assert not set(domains(cls)) & set(RESULT_COLUMNS), "a field has the name of a result column"
    told = describe(cls)
    for name, domain in domains(cls).items():
        assert domain.derived or (name in told and told[name][1]), (
            f"{cls.__name__}.{name} has no sentence in the docstring"
        )
    assert "References" in (cls.__doc__ or "") or cls.__module__.startswith("gpuquant.costs")


def test_every_public_function_has_a_docstring():
    bare = []
    for path in files():
        tree = ast.parse(path.read_text())
        inner = {
            f
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
            for f in ast.walk(node)
            if f is not node
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.FunctionDef | ast.ClassDef)
                and node not in inner
                and not node.name.startswith("_")
                and not ast.get_docstring(node)
            ):
                bare.append(f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}")
    hooks = {  # what a base class has explained
        "begin",
        "step",
        "least_steps",
        "log_spots",
        "discount",
        "bridge",
        "diffusion",
        "lognormal",
        "calibrate_rolling",
        "warn",
        "refuse",
        "characteristic",
        "mean_variance",
        "explosion",
        "extent",
        "moment",
        "growth",
        "transform",
        "of_variance",
        "with_derived_columns",
        "volatile",
        "start",
        "observe",
        "observe_bridge",
        "controls",
        "affine",
        "characteristic_of_sum",
        "log_mean",
        "jumps",
        "finish",
        "closed",
        "continuous_monitoring",
        "discrete_dates",
        "discount_factor",
        "forward",
        "analyticity_angle",
        "control_variance",
        "decide",
        "fill",
        "charge",
        "afford",
        "per_unit_turnover",
        "compute",
        "latest",
        "lookback",
        "columns",
        "values",
        "memory",
        "of_window",
        "compared",
        "blocks",
        "size",
        "charged",
        "forecast",
        "typical",
        "visit_Constant",
        "visit_For",
        "visit_FunctionDef",
        "visit_IfExp",
        "visit_Call",
        "visit_Compare",
        "visit_Name",
        "visit_Subscript",
        "visit_Attribute",
        "visit_BinOp",
        "visit_Expr",
        "visit_Assign",
        "visit_AugAssign",
        "bits32",
        "bits64",
        "from_bits32",
        "from_bits64",
        "cast",
        "generate",
        "lookup",
        "restless",
        "variance",
        "y",
        "x",
        "text",
    }
    assert not [b for b in bare if b.split()[-1] not in hooks]


def test_nothing_is_pickled():
    for path in files():
        assert not re.search(
            r"\bimport pickle|pickle\.(load|dump)|torch\.(save|load)\(", path.read_text()
        ), path


def test_features_are_a_family():
    found = family.members(Feature, "gpuquant.features")
    assert {"Momentum", "RealizedVolatility", "SimulatedOptions", "RuleReturns"} <= set(found)
