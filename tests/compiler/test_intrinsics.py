"""The words of a kernel: one table, told in the language's page, each with a meaning that its
form on a CPU has, too.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from gpuquant.compiler import build, intrinsics
from gpuquant.compiler.intrinsics import INTRINSICS

PAGE = (Path(intrinsics.__file__).parent / "README.md").read_text()
SAMPLES = {
    1: [(x,) for x in (-3.75, -1.0, 0.0, 2.5, 1e9)],
    2: [(1.5, -2.0), (-2.0, 1.5), (np.nan, 1.0), (1.0, np.nan), (3.0, 3.0)],
}
WHOLE = {"lowest": "u64", "from_bits32": "u32", "from_bits64": "u64"}
OTHERS = {
    "parts",
    "with_slopes",
    "compare_mask",
    "halted",
    "prefetch",
    "breakpoint",
    "block_number",
    "thread_number",
    "barrier",
    "complex",
}  # which have tests of their own, or no value


def test_every_word_is_in_the_page():
    table = PAGE[PAGE.index("| word | what it gives |") :].split("\n\n")[0]
    told = set(
        re.findall(r"`(\w+)", " ".join(line.split("|")[1] for line in table.splitlines()[2:]))
    )
    assert told == {*INTRINSICS, "shared", "combine"}


@pytest.mark.parametrize("name", sorted(INTRINSICS.keys() - OTHERS))
def test_its_form_on_a_cpu_gives_what_it_means(name):
    word = INTRINSICS[name]
    for given in SAMPLES[word.takes]:
        if name in WHOLE:
            given = tuple(int(abs(x)) for x in given)
        if name[0] in "iu" and name[1:].isdigit() and name != "i64":
            given = tuple(x % 100.0 if name[0] == "u" else np.clip(x, -100.0, 100.0) for x in given)
        kind = WHOLE.get(name, "f32" if name == "bits32" else "f64")
        cast = "".join(f"{kind}(x[{k}]), " for k in range(len(given)))
        out = np.zeros(1)
        build.tile(
            f"def run(unit0, units, x, out):\n    out[0] = f64({name}({cast}))\n",
            (np.array(given, np.float64), out),
        )(0, 1)
        with np.errstate(all="ignore"):
            want = float(word.python(*(INTRINSICS[kind].python(x) for x in given)))
        np.testing.assert_array_equal(out[0], want, err_msg=f"{name}{given}")
