"""Where a product comes from: from a registered model back to every file, by the manifests alone.

graph.py     trace: the graph of products behind one, down to the source files
find.py      a product by what a person calls it
text.py      the graph as a tree in a terminal, and as JSON
page.py      the same as one page of HTML that needs no network; view.py says what is on it
diff.py      what differs between two models, in words; documents.py, down to the row
explain.py   one product in words: how it was made, what it cost, who uses it, whether it is whole
words.py     what each step does, for readers who have not written it
exports/     OpenLineage events, CycloneDX bill of materials
"""

from tasks.lineage.graph import Node, ordered, sources_of, trace
from tasks.lineage.text import as_json, as_text

__all__ = ["Node", "as_json", "as_text", "ordered", "sources_of", "trace"]
