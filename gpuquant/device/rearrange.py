"""Rearranging kernel source: procedures put in place of their calls, and what needs no state taken out of a function.

Both leave the numbers as they are. `Inliner` saves a compiler a function to type and lower, and arrays passed on, which numba counts;
`hoist` and `latch` give LLVM loops it can turn into vector instructions.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping


class Inliner(ast.NodeTransformer):
    """Put the body of a procedure wherever a statement is nothing but its call, or the assignment of its result.

    A procedure returns at its end or not at all. Its local names get a number of their own at every call.
    """

    def __init__(self, procedures: Mapping[str, ast.FunctionDef]) -> None:
        for name, function in procedures.items():
            early = [n for n in ast.walk(function) if isinstance(n, ast.Return) and n is not function.body[-1]]
            if early:
                raise ValueError(f"{name} returns before its end, line {early[0].lineno} of it: in place of its call that would end the caller")
        self.procedures = procedures
        self.calls = 0

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | list[ast.stmt]:
        return self._inlined(node.value, None) or node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt | list[ast.stmt]:
        return self._inlined(node.value, node.targets) or node

    def _inlined(self, call: ast.expr, targets: list[ast.expr] | None) -> list[ast.stmt]:
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in self.procedures):
            return []
        self.calls += 1
        function = copy.deepcopy(self.procedures[call.func.id])
        stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        names: dict[str, ast.expr] = {name: ast.Name(f"{name}_{self.calls}") for name in stored}
        lines: list[ast.stmt] = []
        for argument, value in zip(function.args.args, call.args, strict=True):
            if argument.arg in stored or not isinstance(value, ast.Name | ast.Constant):
                names[argument.arg] = ast.Name(f"{argument.arg}_{self.calls}")
                lines.append(ast.Assign([ast.Name(f"{argument.arg}_{self.calls}", ast.Store())], value))
            else:
                names[argument.arg] = value
        lines += [Rename(names).visit(line) for line in function.body]
        last = lines[-1]
        if isinstance(last, ast.Return):
            lines[-1] = ast.Assign(targets or [ast.Name("_", ast.Store())], last.value or ast.Constant(None))
        inside = [self.visit(line) for line in lines]
        return [line for part in inside for line in (part if isinstance(part, list) else [part])]


class Rename(ast.NodeTransformer):
    """Put other names, or constants, in place of names."""

    def __init__(self, names: Mapping[str, ast.expr]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self.names:
            return node
        new = copy.deepcopy(self.names[node.id])
        if isinstance(new, ast.Name):
            new.ctx = node.ctx
        return ast.copy_location(new, node)


def hoist(kernel: str, name: str, state: int) -> tuple[str, int]:
    """Split the rewritten function `name` where it needs no state, which is its argument number `state`.

    What it assigns, once, from its other arguments alone moves to a function `look` of those, which can run for many bars at
    once; `name` takes the values back as its last argument. Also returns how many there are.
    """
    module = ast.parse(kernel)
    function = next(f for f in module.body if isinstance(f, ast.FunctionDef) and f.name == name)
    arguments = [a.arg for a in function.args.args]
    stored = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    moved: dict[str, ast.stmt] = {}

    def stateless(node: ast.expr) -> bool:
        """Whether the value is one number, made of arguments other than the state and of what has moved."""
        inside = list(ast.walk(node))
        own = any(isinstance(n, ast.Call) and ast.unparse(n.func).startswith(f"{name}_") for n in inside)  # may return a tuple
        used = {n.id for n in inside if isinstance(n, ast.Name)} & {arguments[state], *stored}
        return not isinstance(node, ast.Name | ast.Tuple | ast.Compare | ast.BoolOp) and not own and used <= set(moved)

    for line in function.body:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            target = line.targets[0].id
            if stored.count(target) == 1 and target not in arguments and stateless(line.value):
                moved[target] = line
    look = copy.deepcopy(function)
    look.name = "look"
    del look.args.args[state]
    look.body = [*moved.values(), *ast.parse(f"return ({''.join(f'{n}, ' for n in moved)})").body]
    function.args.args.append(ast.arg("_seen"))
    taken = [ast.parse(f"{n} = _seen[{k}]").body[0] for k, n in enumerate(moved)]
    function.body = [*taken, *(line for line in function.body if line not in moved.values())]
    return ast.unparse(ast.fix_missing_locations(ast.Module([*module.body, look], []))), len(moved)


def latch(split: str, name: str, state: int) -> str:
    """The source of `settled`, from a function that `hoist` has split; nothing where the state after a bar may rest on the state before it.

    It may be kept, though: where each number is either worked out from what is seen or the one before, as in `gap if gap != 0.0 else state[0]`,
    `settled` takes what `name` takes but the state, and returns whether none is kept, and the numbers that there are then.
    """
    function = next(f for f in ast.parse(split).body if isinstance(f, ast.FunctionDef) and f.name == name)
    before, last = function.args.args[state].arg, function.body[-1]
    returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)]
    if returns != [last] or not (isinstance(last, ast.Return) and isinstance(last.value, ast.Tuple) and isinstance(last.value.elts[0], ast.Tuple)):
        return ""
    taken = [line for line in function.body if isinstance(line, ast.Assign) and ast.unparse(line.value).startswith("_seen[")]
    unknown = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} | {before}
    unknown -= {ast.unparse(line.targets[0]) for line in taken}
    tests, values = [], []
    for k, value in enumerate(last.value.elts[0].elts):
        kept = f"{before}[{k}]"
        if isinstance(value, ast.IfExp) and ast.unparse(value.orelse) == kept:
            tests.append(ast.unparse(value.test))
            value = value.body
        elif isinstance(value, ast.IfExp) and ast.unparse(value.body) == kept:
            tests.append(f"not ({ast.unparse(value.test)})")
            value = value.orelse
        values.append(ast.unparse(value))
    sure = " and ".join(f"(True if {test} else False)" for test in tests) or "True"  # a number may be a test, but not of two
    del function.args.args[state]
    function.name = "settled"
    function.body = [*taken, *ast.parse(f"return ({sure}, ({', '.join(values)},))").body]
    if any(isinstance(n, ast.Name) and n.id in unknown for n in ast.walk(function)):
        return ""
    return ast.unparse(ast.fix_missing_locations(function))
