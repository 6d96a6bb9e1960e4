"""Progress bars on long work: tqdm in a terminal or a notebook where it is installed, silence
where nobody watches.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(total: int, label: str, show: bool | None = None) -> Iterator[Callable[[int], None]]:
    """A bar of `total` units; the value is called with how many are done since the last call.

    `show=None` draws it when a terminal or a notebook watches.
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
        yield lambda done: shown.update(done) and None
