"""
`benchmarks.figures.plots`
"""

from __future__ import annotations

from xml.etree import ElementTree

from benchmarks.figures.plots import LABELS, NUMBERS, OTHERS, OURS, WIDTH, bars

SVG = "{http://www.w3.org/2000/svg}"


def test_bars() -> None:
    """
    Bars are as long as their values are large; ours stand out, and a name may hold whatever a name may hold.
    """
    chart = ElementTree.fromstring(bars("a < b", [("holdfast", 2.0), ("<other>", 4.0), ("gain", -1.0)], 1, "holdfast"))
    drawn = [(bar.get("fill"), float(bar.get("width", ""))) for bar in chart.iter(f"{SVG}rect")][1:]
    longest = WIDTH - LABELS - NUMBERS

    assert [(OURS, longest / 2), (OTHERS, longest), (OTHERS, 0.0)] == drawn
    assert ["a < b", "holdfast", "2.0", "<other>", "4.0", "gain", "-1.0"] == [text.text for text in chart.iter(f"{SVG}text")]


def test_nothing() -> None:
    """
    Values that are all nothing have no bars.
    """
    chart = ElementTree.fromstring(bars("none", [("holdfast", 0.0)], 0, "holdfast"))

    assert [bar.get("width") for bar in chart.iter(f"{SVG}rect")][1:] == ["0.0"]
