"""Pictures as SVG text: numbers in, markup out; nothing here knows what a run is.

svg.py         elements, escaped; numbers as short as they can be
scale.py       from values to positions, round ticks
curves.py      lines over a shared axis, with labels at their ends
intervals.py   a dot and its interval, as wide as the cell of the table that it stands in
bars.py        stacked bars and histograms
layout.py      a graph in layers: rows, order, places (Sugiyama's four steps, small)
dag.py         the graph drawn
"""
