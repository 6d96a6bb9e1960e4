"""How many arithmetic operations a path-step of a kernel takes, counted in its source: what
speeds of different kernels are held against.
"""

from __future__ import annotations

import ast
from functools import lru_cache

from gpuquant.compiler import kernel as compiler
from gpuquant.pricing.kernels.build import Pair, source

HEAVY = 5.0  # of a division or a square root, in additions
WIDE = {"philox": 2.0, "counter": 2.0}  # words of 64 bits, half as many to a vector


@lru_cache
def _functions(text: str) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def _cost(name: str, known: dict[str, ast.FunctionDef]) -> float:
    """Operations of one call, those of what it calls included; both sides of a choice are worked
    out, as vectors do.
    """
    return _inside(known[name], known) * WIDE.get(name, 1.0)


def _inside(node: ast.AST, known: dict[str, ast.FunctionDef]) -> float:
    total = sum(_inside(child, known) for child in ast.iter_child_nodes(node))
    if (
        isinstance(node, ast.For)
        and isinstance(node.iter, ast.Call)
        and isinstance(node.iter.args[-1], ast.Constant)
    ):
        return total * float(node.iter.args[-1].value)  # type: ignore[arg-type]
    if isinstance(node, ast.BinOp):
        return total + (HEAVY if isinstance(node.op, ast.Div) else 1.0)
    if isinstance(node, ast.Compare | ast.IfExp | ast.UnaryOp | ast.BoolOp):
        return total + 1.0
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return total + (
            HEAVY
            if node.func.id == "sqrt"
            else _cost(node.func.id, known)
            if node.func.id in known
            else 0.0
        )
    return total


def operations(pair: Pair) -> float:
    """Operations of one step of one path, its draws included."""
    known = {**_functions(compiler.vocabulary()), **_functions(str(source(pair, "cpu")))}
    numbers = (
        pair.number(pair.model.normals),
        pair.number(pair.model.uniforms) + pair.payoff.uniforms,
    )
    block = _cost("philox", known) + _cost("counter", known)
    draws = numbers[0] * (block + 2.0 * _cost("normals32", known)) + numbers[1] * (
        block + 4.0 * _cost("uniform32", known)
    )
    watching = (
        ("observe_bridge", "bridge", "log_spots", "log_spots")
        if pair.bridged
        else ("observe", "log_spots")
    )
    return 0.25 * draws + sum(_cost(name, known) for name in ("step", *watching))
