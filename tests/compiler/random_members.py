"""Random members: functions in the language of members, and a little beyond it, as text."""

import random


class Writer:
    """Writes one function `f(p, i, acc, log_spots)` by a seed; its numbers are eighths and
    small, so that nothing is rounded but by a function of math.
    """

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.reals, self.tuples, self.loops, self.helpers = (
            ["acc[0]", "acc[1]", "log_spots[0]", "p.level[i]", "LEVEL"],
            {"acc": 2, "log_spots": 1},
            [],
            0,
        )
        self.count, self.depth = 0, 0

    def text(self):
        """The module: a helper or two, and the function."""
        self.helpers = self.draw.randrange(3)
        helpers = [
            (
                f"def helper{k}(x, y=0.25):\n    z = x - {self.literal()} * y\n"
                f"    if z > {self.literal()}:\n        z = z * 0.5\n    return z\n"
            )
            for k in range(self.helpers)
        ]
        body = [line for _ in range(self.draw.randint(1, 6)) for line in self.statement()]
        return "\n".join(
            [
                "import math",
                "LEVEL = 1.5",
                *helpers,
                "def f(p, i, acc, log_spots):",
                *(f"    {line}" for line in body),
                f"    return {self.real()}",
                "",
            ]
        )

    def some(self, *choices):
        return self.draw.choice(choices)

    def literal(self):
        return self.some(*(repr(n / 8.0) for n in range(-16, 17)), "1", "2", "3")

    def name(self, new):
        """A name that is there, or a new one."""
        if new or self.draw.random() < 0.5:
            self.count += 1
            return f"v{self.count}"
        there = [name for name in self.reals if name.isidentifier() and name.islower()]
        return self.draw.choice(there) if there else self.name(True)

    def index(self, length):
        """An index of a tuple: most are in it."""
        if self.loops and self.draw.random() < 0.6:
            name, count = self.draw.choice(self.loops)
            shift = (
                self.draw.randint(-length, max(length - count, 0))
                if self.draw.random() < 0.9
                else self.draw.randint(-5, 5)
            )
            return self.some(
                f"{name} + {shift}",
                f"{name} - {-shift}",
                f"{name}",
                f"-{name} - 1",
                f"min({name}, {length - 1})",
                f"2 * {name}",
            )
        return str(
            self.draw.randrange(-length, length)
            if self.draw.random() < 0.95
            else self.draw.randint(-5, 5)
        )

    def real(self):
        """An expression with a number."""
        self.depth += 1
        choice = self.draw.random() if self.depth < 5 else 0.1
        if choice < 0.3:
            found = self.some(
                self.literal(),
                self.draw.choice(self.reals),
                self.some(*(name for name, _ in self.loops)) if self.loops else "0.5",
            )
        elif choice < 0.5:
            found = f"({self.real()} {self.some('+', '-', '*')} {self.real()})"
        elif choice < 0.58:
            found = f"({self.real()} / {self.some('2.0', '4', '8.0')})"
        elif choice < 0.66:
            found = f"{self.some('min', 'max')}({self.real()}, {self.real()})"
        elif choice < 0.72:
            found = self.some(
                f"abs({self.real()})",
                f"math.fabs({self.real()})",
                f"(-{self.real()})",
                f"float({self.test()})",
            )
        elif choice < 0.8:
            found = f"({self.real()} if {self.test()} else {self.real()})"
        elif choice < 0.86:
            name = self.draw.choice(list(self.tuples))
            found = f"{name}[{self.index(self.tuples[name])}]"
        elif choice < 0.9 and self.helpers:
            number, first = self.draw.randrange(self.helpers), self.real()
            found = f"helper{number}({first}{self.some('', ', ' + self.real())})"
        elif choice < 0.93:
            found = f"({self.real()}) ** {self.some(*(2,) * 12, 3, 4, 5)}"
        elif choice < 0.96:
            found = self.some(
                f"math.exp(min({self.real()}, 2.0))",
                f"math.sqrt(abs({self.real()}))",
                f"math.log(1.0 + abs({self.real()}))",
            )
        elif choice < 0.995:
            found = f"({self.test()}) * {self.real()}"
        else:  # beyond the language
            found = self.some(
                "nothing",
                f"({self.real()}) // 2.0",
                f"({self.real()}) % 2.0",
                "math.gamma(2.5)",
                f"round({self.real()})",
                "acc",
                f"max({self.real()}, 1.0, 2.0)",
            )
        self.depth -= 1
        return found

    def test(self):
        """An expression that is true or not."""
        one = f"{self.real()} {self.some('<', '<=', '>', '>=', '==', '!=')} {self.real()}"
        return self.some(
            one,
            one,
            f"not ({one})",
            f"{one} {self.some('and', 'or')} {self.real()} > {self.literal()}",
        )

    def statement(self, depth=0):
        """Lines."""
        choice = self.draw.random()
        if choice < 0.45:
            value, name = self.real(), self.name(False)
            self.reals.append(name)
            return [f"{name} = {value}"]
        if choice < 0.55:
            name = self.name(False)
            if name not in self.reals and self.draw.random() < 0.9:
                return [f"{name} = {self.literal()}"]
            return [f"{name} {self.some('+', '-', '*')}= {self.real()}"]
        if choice < 0.68:
            length, name = self.draw.randint(1, 4), self.name(True)
            line = f"{name} = ({', '.join(self.real() for _ in range(length))},)"
            self.tuples[name] = length
            return [line]
        if choice < 0.74:
            one, two = self.name(True), self.name(True)
            line = f"{one}, {two} = {self.real()}, {self.real()}"
            self.reals += [one, two]
            return [line]
        if depth > 2:
            return ["pass"]
        if choice < 0.88:
            count, name = self.some(0, 1, 2, 3, 3, 4), f"j{len(self.loops)}"
            around = (
                self.some(*(n for n, _ in self.loops))
                if self.loops and self.draw.random() < 0.2
                else ""
            )
            limits = around or self.some(
                f"{count}", f"{count}", f"0, {count}", f"{count}, 0, -1", f"1, {count}"
            )
            self.loops.append((name, count))
            inside = self.block(depth)
            self.loops.pop()
            if self.draw.random() < 0.1:
                self.reals.append(name)
            return [f"for {name} in range({limits}):", *inside]
        lines = [f"if {self.test()}:", *self.block(depth)]
        return [*lines, *(["else:", *self.block(depth)] if self.draw.random() < 0.5 else [])]

    def block(self, depth):
        """Lines that are indented; names that they make may be forgotten after them."""
        before = list(self.reals), dict(self.tuples)
        lines = [
            f"    {line}"
            for _ in range(self.draw.randint(1, 3))
            for line in self.statement(depth + 1)
        ]
        if self.draw.random() < 0.9:
            self.reals, self.tuples = before
        return lines
