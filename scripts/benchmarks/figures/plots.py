"""
Bar charts as SVG, for figures that belong side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH = 640
LABELS = 150
NUMBERS = 70
BAR = 18
GAP = 8
TITLE = 34
OURS = "#2b6cb0"
OTHERS = "#a0aec0"


def bars(title: str, values: Sequence[tuple[str, float]], decimals: int, ours: str) -> str:
    """Return a chart with a horizontal bar for each name and value; those whose names begin with *ours* stand out."""
    height = TITLE + len(values) * (BAR + GAP) + GAP
    longest = max((value for _, value in values), default=0)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{GAP}" y="22" font-weight="600">{escape(title)}</text>',
    ]
    for index, (name, value) in enumerate(values):
        top = TITLE + index * (BAR + GAP)
        # What is below nothing (a loss that was a gain) has no bar.
        length = max(0.0, value) / longest * (WIDTH - LABELS - NUMBERS) if longest > 0 else 0.0
        colour = OURS if name.startswith(ours) else OTHERS
        base = top + BAR - 5
        lines += [
            f'<text x="{LABELS - GAP}" y="{base}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{base}">{value:,.{decimals}f}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
