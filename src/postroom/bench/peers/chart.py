"""The comparison as one picture: bars on a logarithmic scale, each with its figure, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from .field import US

View = Mapping[str, Any]

WIDTH, LEFT, RIGHT = 760, 150, 90
BAR, STEP, GROUP, TOP, FOOT = 14, 21, 34, 74, 28

STYLE = """
  svg { color-scheme: light dark; font: 12px system-ui, sans-serif }
  .ground { fill: #ffffff } text { fill: #1f2328 } .dim { fill: #59636e } .grid { stroke: #d1d9e0 }
  .ours { fill: #0969da } .peer { fill: #8c959f } .memory { fill: none; stroke: #8c959f }
  .title { font-size: 15px; font-weight: 600 } .group { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #f0f6fc } .dim { fill: #9198a1 } .grid { stroke: #3d444d }
    .ours { fill: #4493f8 } .peer { fill: #7d8590 } .memory { stroke: #7d8590 }
  }
"""


def chart(views: Sequence[View], styles: Sequence[str], captions: Sequence[str]) -> str:
    """A picture of the ways that were measured, by style, the quickest first; captions below it."""
    measured = [view for view in views if view["per_s"]]
    scale = _Scale([view["per_s"] for view in measured])
    drawn: list[str] = []
    y = TOP
    for style in styles:
        group = sorted((v for v in measured if v["style"] == style), key=lambda v: -v["per_s"])
        if not group:
            continue
        drawn.append(_text(16, y + 11, style, "group"))
        y += STEP
        for view in group:
            drawn += _bar(view, y, scale)
            y += STEP
        y += GROUP - STEP
    height = y + FOOT + 17 * (len(captions) - 1)
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape('jobs a second, by peer')}</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        _text(16, 28, "Jobs a second: put, taken and acknowledged", "title"),
        _text(16, 48, "Logarithmic scale. An outline: nothing is kept on disk.", "dim"),
    ]
    grid = [line for mark in scale.marks for line in _mark(mark, scale, y)]
    foot = [_text(16, y + 14 + 17 * n, words, "dim") for n, words in enumerate(captions)]
    return "\n".join([*head, *grid, *drawn, *foot, "</svg>"]) + "\n"


class _Scale:
    """From a rate to a place, between powers of ten that hold all rates."""

    def __init__(self, rates: Sequence[float]) -> None:
        self._low = math.floor(math.log10(min(rates, default=1.0)))
        high = math.ceil(math.log10(max(rates, default=10.0)))
        self._high = max(high, self._low + 1)
        self.marks = [10**power for power in range(self._low, self._high + 1)]

    def __call__(self, rate: float) -> float:
        share = (math.log10(rate) - self._low) / (self._high - self._low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)


def _bar(view: View, y: int, scale: _Scale) -> list[str]:
    kind = "ours" if view["peer"] == US else "peer" if view["persistent"] else "memory"
    end = scale(view["per_s"])
    return [
        _text(LEFT - 8, y + 11, view["peer"], "", "end"),
        f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{max(end - LEFT, 1):.1f}" height="{BAR}" rx="2"/>',
        _text(end + 6, y + 11, f"{view['per_s']:,.0f}", ""),
    ]


def _mark(rate: float, scale: _Scale, bottom: int) -> list[str]:
    x = scale(rate)
    return [
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom - 10}"/>',
        _text(x, TOP - 10, f"{rate:,}", "dim", "middle"),
    ]


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'
