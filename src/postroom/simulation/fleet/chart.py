"""Policies side by side in one picture: how their wakes ended, how long mail waited, what lay there when."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from .report import cost
from .running import Result

WIDTH, LEFT, RIGHT = 760, 150, 120
BAR, STEP, GAP, TOP = 14, 22, 34, 74
PLOT = 150
QUANTILES = ((0.5, "p50"), (0.99, "p99"))
LINES = ("a", "b", "c", "d", "e", "f")

STYLE = """
  svg { color-scheme: light dark; font: 12px system-ui, sans-serif }
  .ground { fill: #ffffff } text { fill: #1f2328 } .dim { fill: #59636e } .grid { stroke: #d1d9e0 }
  .useful { fill: #1a7f37 } .empty { fill: #d1242f } .lost { fill: #8c959f } .wait { fill: #0969da }
  .title { font-size: 15px; font-weight: 600 } .group { font-weight: 600 }
  polyline { fill: none; stroke-width: 1.5 }
  .a { stroke: #0969da } .b { stroke: #d1242f } .c { stroke: #9a6700 } .d { stroke: #1a7f37 }
  .e { stroke: #8250df } .f { stroke: #59636e }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #f0f6fc } .dim { fill: #9198a1 } .grid { stroke: #3d444d }
    .useful { fill: #3fb950 } .empty { fill: #f85149 } .lost { fill: #7d8590 } .wait { fill: #4493f8 }
  }
"""


def chart(results: Sequence[Result]) -> str:
    """The picture, as SVG."""
    first = results[0].options
    drawn: list[str] = []
    y = TOP
    for panel in (_wakes, _latencies, _depths):
        lines, y = panel(results, y)
        drawn += lines
        y += GAP
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img">',
        f"<title>{escape('a fleet under several policies')}</title><style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{y}"/>',
        _text(16, 28, "One fleet, woken in different ways", "title"),
        _text(16, 48, f"{first.pairs:,} pairs, {first.fleet.fleet.days:g} days, seed {first.seed}", "dim"),
    ]
    return "\n".join([*head, *drawn, "</svg>"]) + "\n"


def _wakes(results: Sequence[Result], y: int) -> tuple[list[str], int]:
    """Bars of useful, empty and lost wakes on a linear scale, each with its cost."""
    drawn = [_text(16, y, "Wakes: useful (green), needless (red), lost (grey)", "group")]
    most = max(1, *(result.ledger.wakes.total() for result in results))
    for result in results:
        y += STEP
        drawn.append(_text(LEFT - 8, y + 11, str(result.options.policy), "", "end"))
        x = float(LEFT)
        for name in ("useful", "empty", "lost"):
            width = result.ledger.wakes[name] / most * (WIDTH - LEFT - RIGHT)
            drawn.append(f'<rect class="{name}" x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}"/>')
            x += width
        costs = cost(result)
        drawn.append(_text(x + 6, y + 11, f"{costs['wakes']:,.2f} {costs['currency']}", ""))
    return drawn, y + STEP


def _latencies(results: Sequence[Result], y: int) -> tuple[list[str], int]:
    """Bars of how long mail waited for a wake, on a logarithmic scale from a second on."""
    drawn = [_text(16, y, "How long mail waited for a sleeping thread (logarithmic)", "group")]
    found = [(one, name, one.ledger.quantile(share)) for one in results for share, name in QUANTILES]
    most = max(10.0, *(value or 0.0 for _, _, value in found))
    for result, name, value in found:
        y += STEP
        drawn.append(_text(LEFT - 8, y + 11, f"{result.options.policy} {name}", "", "end"))
        if value is not None:
            share = math.log10(max(value, 1.0)) / math.log10(most)
            width = max(1.0, share * (WIDTH - LEFT - RIGHT))
            drawn.append(f'<rect class="wait" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>')
            drawn.append(_text(LEFT + width + 6, y + 11, f"{value:,.1f} s", ""))
    return drawn, y + STEP


def _depths(results: Sequence[Result], y: int) -> tuple[list[str], int]:
    """Lines of how many messages waited, over the time in which tasks arrived."""
    drawn = [_text(16, y, "Messages waiting, over time", "group")]
    top, bottom = y + STEP, y + STEP + PLOT
    samples = [one for result in results for one in result.ledger.samples]
    most = max(1, *(one.waiting for one in samples)) if samples else 1
    whole = max(1.0, *(one.at for one in samples)) if samples else 1.0
    across = _scale(whole, LEFT, WIDTH - RIGHT)
    up = _scale(most, bottom, top)
    for level in sorted({0, most // 2, most}):
        at = up(level)
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        drawn.append(_text(LEFT - 8, at + 4, f"{level:,}", "dim", "end"))
    for n, result in enumerate(results):
        points = " ".join(f"{across(one.at):.1f},{up(one.waiting):.1f}" for one in result.ledger.samples)
        kind = LINES[n % len(LINES)]
        drawn.append(f'<polyline class="{kind}" points="{points}"/>')
        line = top + 4 + 18 * n
        x = WIDTH - RIGHT + 10
        drawn.append(f'<polyline class="{kind}" points="{x},{line} {x + 14},{line}"/>')
        drawn.append(_text(x + 18, line + 4, str(result.options.policy), ""))
    drawn.append(_text(LEFT, bottom + 16, "0 h", "dim"))
    drawn.append(_text(WIDTH - RIGHT, bottom + 16, f"{whole / 3600:g} h", "dim", "end"))
    return drawn, bottom + STEP


def _scale(most: float, begins: float, ends: float) -> Callable[[float], float]:
    """From a value, 0 to ``most``, to a place."""

    def place(value: float) -> float:
        return begins + value / most * (ends - begins)

    return place


def _text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{escape(words)}</text>'
