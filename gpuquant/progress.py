"""Progress bars of long work in a terminal or a notebook: tqdm, or one line if tqdm is not
installed. Elsewhere, nothing is printed by default.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(total: int, label: str, show: bool | None = None) -> Iterator[Callable[[float], None]]:
    """A bar of `total` units; it yields a function to call with the units, or parts of them, that
    are done since the last call.

    `show=None` draws the bar only in a terminal or a notebook.
    """
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not (watched if show is None else show):
        yield lambda done: None
        return
    if importlib.util.find_spec("tqdm") is None:
        print(f"{label} ...", file=sys.stderr)
        yield lambda done: None
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=label, unit_scale=True, leave=False, mininterval=0.2) as shown:
        # parts of units add up to a little more or less than the whole
        yield lambda done: shown.update(min(done, total - shown.n)) and None
