"""What does a second core add?"""

from __future__ import annotations

from benchmarks.asian import DATES, ours
from benchmarks.common import Row, ratio


def run() -> list[Row]:
    """Verify that both give the same bits, then time."""
    paths = 2_000_000
    assert ours(paths, "cpu:1") == ours(paths, "cpu:2")
    value, two, one = ratio(
        lambda: ours(paths, "cpu:2"), lambda: ours(paths, "cpu:1"), 7, paths * DATES, paths * DATES
    )
    return [
        Row(
            "two cores over one, Asian, 252 dates, float32",
            value,
            "x",
            1.9,
            True,
            f"{two / 1e6:.0f} against {one / 1e6:.0f} M path-steps/s",
        )
    ]
