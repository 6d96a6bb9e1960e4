"""Charts as SVG text: small, sharp at any size, offline, and readable in light and dark."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

WIDTH, HEIGHT = 860, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 26
COLOURS = ("#2b6cb0", "#9aa5b1", "#c05621", "#2f855a")
TIMES = (
    ("Y", 10),
    ("M", 10),
    ("D", 9),
    ("h", 7),
    ("m", 7),
    ("s", 7),
)  # units of time to label by, and how many labels fit beside each other


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers from low to high."""
    if not high > low:
        return [low]
    raw = (high - low) / count
    step = 10.0 ** math.floor(math.log10(raw))
    step *= min((m for m in (1, 2, 5, 10) if m * step >= raw), default=10)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _axes(
    heights: list[tuple[float, str]], places: list[tuple[float, str]], end: float
) -> list[str]:
    """The grid with its labels, and the dates below it."""
    parts = []
    for height, label in heights:
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{height:.1f}" '
            f'y2="{height:.1f}"/>'
        )
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{height + 4:.1f}" '
            f'text-anchor="end">{label}</text>'
        )
    for at, label in places:
        anchor = "start" if at == LEFT else "end" if at == end else "middle"
        parts.append(
            f'<text class="tick" x="{at:.1f}" y="{HEIGHT - 8}" '
            f'text-anchor="{anchor}">{label}</text>'
        )
    return parts


def lines(
    dates: np.ndarray,
    series: Mapping[str, np.ndarray],
    *,
    title: str,
    form: str = ",.2f",
    log: bool = False,
    fill: bool = False,
) -> str:
    """A line chart of series over dates, or over rising numbers: of each pixel the lowest and the
    highest value, so that no extreme is lost.
    """
    whole = {name: np.asarray(values, dtype=float) for name, values in series.items()}
    shown = {name: np.log(v) if log else v for name, v in whole.items()}
    finite = np.concatenate([v[np.isfinite(v)] for v in shown.values()])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if not log:
        low, high = min(low, 0.0), max(high, 0.0)
    if high <= low:
        high = low + 1.0
    x = LEFT + np.arange(len(dates)) / max(len(dates) - 1, 1) * (WIDTH - LEFT - RIGHT)

    def y(value: np.ndarray | float) -> np.ndarray:
        return np.asarray(TOP + (high - np.asarray(value)) / (high - low) * (HEIGHT - TOP - BOTTOM))

    marks = _log_ticks(low, high) if log else ticks(low, high)
    heights = [(float(y(math.log(mark) if log else mark)), format(mark, form)) for mark in marks]
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">']
    parts += _axes(heights, [(x[at], label) for at, label in date_marks(dates)], x[-1])
    for k, (name, values) in enumerate(shown.items()):
        known = extremes(values, x)
        points = " ".join(
            f"{a:.1f},{b:.1f}" for a, b in zip(x[known], y(values[known]), strict=True)
        )
        colour = COLOURS[k % len(COLOURS)]
        if fill and k == 0 and points:
            base = float(y(0.0))
            parts.append(
                f'<polygon points="{x[known][0]:.1f},{base:.1f} {points} '
                f'{x[known][-1]:.1f},{base:.1f}" fill="{colour}" fill-opacity="0.25"/>'
            )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" '
            f'stroke-width="1.5"><title>{html.escape(name)}</title></polyline>'
        )
    parts.append("</svg>")
    legend = (
        "".join(
            f'<span><i style="background:{COLOURS[k % len(COLOURS)]}"></i>{html.escape(n)}</span>'
            for k, n in enumerate(series)
        )
        if len(series) > 1
        else ""
    )
    return (
        f"<figure><figcaption>{html.escape(title)}<span "
        f'class="legend">{legend}</span></figcaption>{"".join(parts)}</figure>'
    )


def extremes(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The places of the first, the lowest, the highest and the last known value of each pixel of
    `x`, in order.
    """
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return known
    pixel = np.floor(x[known]).astype(int)
    begins = np.flatnonzero(np.concatenate([[True], np.diff(pixel) > 0]))
    ends = np.concatenate([begins[1:], [len(known)]])
    order = np.lexsort((values[known], pixel))  # within a pixel from the lowest to the highest
    return np.unique(known[np.concatenate([begins, ends - 1, order[begins], order[ends - 1]])])


def date_marks(dates: np.ndarray) -> list[tuple[int, str]]:
    """Positions and labels of dates along an axis, in the largest unit of time that changes at
    least three times; of numbers, round ones.
    """
    if dates.dtype.kind != "M":
        inside = ticks(float(dates[0]), float(dates[-1]))[1:]
        return [(int(np.searchsorted(dates, mark)), f"{mark:g}") for mark in inside]
    for unit, most in TIMES:
        count = dates.astype(f"datetime64[{unit}]").astype(np.int64)
        turns = np.flatnonzero(np.diff(count)) + 1
        if len(turns) >= 3:
            every = -(-len(turns) // most)
            turns = turns[::every]
            room = len(dates) // 20  # a label at the very edge would be cut off
            marks = [
                (int(t), _time(dates[t], unit)) for t in turns if room <= t < len(dates) - room
            ]
            if marks:
                return marks
    return [(k, _time(dates[k], "D")) for k in sorted({0, len(dates) - 1})]


def _time(date: np.datetime64, unit: str) -> str:
    text = str(date.astype(f"datetime64[{'m' if unit in 'hm' else unit}]"))
    return text.replace("T", " ")[5:] if unit in "hms" else text


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(low / math.log(10)), math.ceil(high / math.log(10))
    marks = [m * 10.0**k for k in range(first, last + 1) for m in (1.0, 2.0, 5.0)]
    inside = [m for m in marks if low <= math.log(m) <= high]
    return (
        inside if len(inside) > 2 else ticks(math.exp(low), math.exp(high))
    )  # within a factor of two the axis is nearly even


def bars(
    values: np.ndarray,
    *,
    title: str,
    marks: Mapping[str, float],
    form: str = ",.0f",
    bins: int = 50,
) -> str:
    """A histogram with named vertical marks."""
    counts, edges = np.histogram(values, bins=bins)
    low, high = float(edges[0]), float(edges[-1])

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">']
    for count, a, b in zip(counts, edges[:-1], edges[1:], strict=True):
        tall = count / max(counts.max(), 1) * (HEIGHT - TOP - BOTTOM)
        parts.append(
            f'<rect x="{x(a):.1f}" y="{HEIGHT - BOTTOM - tall:.1f}" '
            f'width="{max(x(b) - x(a) - 1, 0.5):.1f}" height="{tall:.1f}" '
            f'fill="{COLOURS[0]}"/>'
        )
    for mark in ticks(low, high, 7):
        parts.append(
            f'<text class="tick" x="{x(mark):.1f}" y="{HEIGHT - 8}" '
            f'text-anchor="middle">{format(mark, form)}</text>'
        )
    for k, (name, value) in enumerate(marks.items()):
        at = min(max(x(value), LEFT), WIDTH - RIGHT)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" '
            f'stroke="{COLOURS[2]}" stroke-width="2"/>'
        )
        side, anchor = (-4, "end") if at > 0.85 * WIDTH else (4, "start")  # inside the picture
        parts.append(
            f'<text class="tick" x="{at + side:.1f}" y="{TOP + 12 + 14 * k}" '
            f'text-anchor="{anchor}">{html.escape(name)}</text>'
        )
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{''.join(parts)}</svg></figure>"


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    classes: Sequence[Sequence[str]] | None = None,
) -> str:
    """An HTML table; `classes` may give each cell a style attribute."""
    top = "".join(f"<th>{html.escape(h)}</th>" for h in head)
    body = ""
    for r, row in enumerate(rows):
        cells = "".join(
            f'<td style="{classes[r][c] if classes else ""}">{html.escape(str(cell))}</td>'
            for c, cell in enumerate(row)
        )
        body += f"<tr>{cells}</tr>"
    return (
        f"<div class='wide'><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )
