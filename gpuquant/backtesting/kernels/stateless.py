"""A rule's decision in two parts: what it sees of the past without remembering anything, and what
rests on its state.

Both leave the numbers as they are. What is seen runs for many bars at once, in loops that LLVM
turns into vector instructions; and where the state after a bar does not rest on the one before, it
does, too.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from gpuquant.compiler.functions import copied


def split_stateless(
    functions: Sequence[ast.FunctionDef], name: str, state: int
) -> tuple[list[ast.FunctionDef], int]:
    """Split the rewritten function `name`, the last of some, where it needs no state, which is its
    argument number `state`.

    What it assigns, once, from its other arguments alone moves to a function `look` of those;
    `name` takes the values back as its last argument. Also returned: how many there are.
    """
    function = copied(functions[-1])
    arguments = [a.arg for a in function.args.args]
    stored = [
        n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    ]
    moved: dict[str, ast.stmt] = {}

    def stateless(node: ast.expr) -> bool:
        """Whether the value is one number, made of arguments other than the state and of what
        has moved.
        """
        inside = list(ast.walk(node))
        own = any(
            isinstance(n, ast.Call) and ast.unparse(n.func).startswith(f"{name}_") for n in inside
        )  # may return a tuple
        used = {n.id for n in inside if isinstance(n, ast.Name)} & {arguments[state], *stored}
        whole = isinstance(node, ast.Name | ast.Compare | ast.BoolOp) or any(
            isinstance(n, ast.Tuple | ast.Slice) for n in inside
        )  # may be no number
        return not whole and not own and used <= set(moved)

    for line in function.body:
        if (
            isinstance(line, ast.Assign)
            and len(line.targets) == 1
            and isinstance(line.targets[0], ast.Name)
        ):
            target = line.targets[0].id
            if stored.count(target) == 1 and target not in arguments and stateless(line.value):
                moved[target] = line
    look = copied(function)
    look.name = "look"
    del look.args.args[state]
    look.body = [
        *map(copied, moved.values()),
        *_lines(f"return ({''.join(f'{n}, ' for n in moved)})", function),
    ]
    function.args.args.append(ast.arg("_seen"))
    taken = [line for k, n in enumerate(moved) for line in _lines(f"{n} = _seen[{k}]", moved[n])]
    function.body = [*taken, *(line for line in function.body if line not in moved.values())]
    return [ast.fix_missing_locations(one) for one in (*functions[:-1], function, look)], len(moved)


def detect_stateless_update(function: ast.FunctionDef, state: int) -> ast.FunctionDef | None:
    """The function `stateless_update`, from one that `split_stateless` has left; None where the
    state after a bar may rest on the state before it.

    It may be kept, though: where each number is either worked out from what is seen or the one
    before, as in `gap if gap != 0.0 else state[0]`, `stateless_update` takes what the function
    takes but the state, and returns whether none is kept, and the numbers that there are then.
    """
    function = copied(function)
    before, last = function.args.args[state].arg, function.body[-1]
    returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)]
    if returns != [last] or not (
        isinstance(last, ast.Return)
        and isinstance(last.value, ast.Tuple)
        and isinstance(last.value.elts[0], ast.Tuple)
    ):
        return None
    taken = [
        line
        for line in function.body
        if isinstance(line, ast.Assign) and ast.unparse(line.value).startswith("_seen[")
    ]
    unknown = {
        n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    } | {before}
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
    sure = (
        " and ".join(f"(True if {test} else False)" for test in tests) or "True"
    )  # a number may be a test, but not of two
    del function.args.args[state]
    function.name = "stateless_update"
    function.body = [*taken, *_lines(f"return ({sure}, ({', '.join(values)},))", last)]
    if any(isinstance(n, ast.Name) and n.id in unknown for n in ast.walk(function)):
        return None
    return ast.fix_missing_locations(function)


def _lines(text: str, place: ast.AST) -> list[ast.stmt]:
    """Statements that stand in another's place."""
    return [ast.copy_location(line, place) for line in ast.parse(text).body]
