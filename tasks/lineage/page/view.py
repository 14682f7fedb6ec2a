"""Everything that is on the page, in the order of a reader's questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from tasks.lineage.graph import Node, ordered
from tasks.lineage.page.cards import Card, SourceCard, cards_of
from tasks.lineage.page.findings import Finding, findings
from tasks.lineage.words import Score, scores_in, title_of
from tasks.report.drawing.dag import Node as Box
from tasks.report.drawing.dag import draw_graph
from tasks.words import count, duration, size

SHOWN_SCORES = 3


@dataclass(frozen=True)
class About:
    """What is known of a model beside its lineage."""

    title: str
    """`demo v3`, or an address."""
    is_registered: bool = False
    scores: Mapping[str, float] = field(default_factory=dict)
    """On the test side."""
    why: str = ""
    """Why it was chosen among others, in words."""
    forgotten: str = ""
    """When, by whom and why what of its sources was forgotten since."""


@dataclass(frozen=True)
class Tile:
    """One figure."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class View:
    """The page."""

    about: About
    lead: str
    tiles: list[Tile]
    findings: list[Finding]
    sources: list[SourceCard]
    graph: Markup
    cards: list[Card]
    address: str
    digest: str
    root_id: str
    """The card of the product that all of it is about."""
    check_file: str
    """A file with its digest, to show how to check one."""
    num_files: int


def view_of(root: Node, about: About) -> View:
    """The page on what a product was made from."""
    nodes = ordered(root)
    sources, cards = cards_of(nodes)
    return View(
        about=about,
        lead=_lead(root, nodes),
        tiles=_tiles(root, nodes, about),
        findings=findings(nodes, about.forgotten),
        sources=sources,
        graph=_graph(nodes, about),
        cards=cards,
        address=root.address,
        digest=root.digest,
        root_id=f"n{len(nodes)}",
        check_file=next((f"{source.address}/{source.files[0][0]}" for source in sources), ""),
        num_files=sum(source.num_files for source in sources),
    )


def _lead(root: Node, nodes: Sequence[Node]) -> str:
    facts = root.manifest.facts if root.manifest else {}
    parameters = facts.get("parameters")
    what = f"A language model of {parameters:,} parameters" if isinstance(parameters, int) else title_of(root)
    if root.is_gap:
        return "Its record is gone, and with it what it was made from."
    sources = [node for node in nodes if node.is_source]
    files = count(sum(len(node.files) for node in sources), "file")
    steps = count(len(nodes) - len(sources), "step")
    return f"{what}, made in {steps} from {files} of {count(len(sources), 'source')}."


def _tiles(root: Node, nodes: Sequence[Node], about: About) -> list[Tile]:
    return [
        *_data_tiles(nodes),
        *_cost_tiles(root, nodes),
        *[
            Tile(score.name, f"{score.value:.4g}", _bounds(score))
            for score in scores_in(about.scores)[:SHOWN_SCORES]
        ],
    ]


def _data_tiles(nodes: Sequence[Node]) -> list[Tile]:
    sources = [node for node in nodes if node.is_source]
    files, total = sum(len(node.files) for node in sources), sum(node.size or 0 for node in sources)
    of = f"of {count(len(sources), 'source')}" + (f", {size(total)}" if total else "")
    tiles = [Tile("source files", f"{files:,}", of)] if sources else []
    for node in nodes:
        facts = node.manifest.facts if node.manifest else {}
        documents, characters = facts.get("train_documents"), facts.get("train_characters")
        if node.step == "split_corpus" and isinstance(documents, int) and isinstance(characters, int):
            tiles.append(Tile("documents to learn from", f"{documents:,}", f"{characters:,} characters"))
        if node.step == "finetune_model" and isinstance(shown := facts.get("conversations"), int):
            tiles.append(Tile("conversations to learn from", f"{shown:,}"))
    return tiles


def _cost_tiles(root: Node, nodes: Sequence[Node]) -> list[Tile]:
    made = [node.manifest.provenance for node in nodes if node.manifest]
    known = [each for each in made if "finished" in each]
    tiles = []
    if root.manifest and "finished" in root.manifest.provenance:
        finished = root.manifest.provenance["finished"]
        tiles.append(Tile("made", finished[:10], f"{finished[11:16]} UTC"))
    if known:
        took = sum(float(each["seconds"]) for each in known)
        processor = sum(float(each.get("cpu_seconds", 0)) for each in known)
        tiles.append(Tile("all steps took", duration(took), f"{duration(processor)} of processor time"))
    return tiles


def _bounds(score: Score) -> str:
    is_known = score.low is not None and score.high is not None
    return "on the test side" + (f", 95 % {score.low:.4g} to {score.high:.4g}" if is_known else "")


def _graph(nodes: Sequence[Node], about: About) -> Markup:
    """Boxes that lead to the cards."""
    ids = {node.identity: f"n{number}" for number, node in enumerate(nodes, start=1)}
    times = {node.identity: _seconds(node) for node in nodes}
    longest = max(times.values(), default=0.0)
    boxes = [
        _box(node, ids[node.identity], times[node.identity] / longest if longest else 0.0) for node in nodes
    ]
    needs = {ids[node.identity]: [ids[each.identity] for _, each in node.inputs] for node in nodes}
    return draw_graph(boxes, needs, f"{about.title}: what was made from what, sources at the top")


def _seconds(node: Node) -> float:
    return float(node.manifest.provenance.get("seconds", 0.0)) if node.manifest else 0.0


def _box(node: Node, id_: str, share: float) -> Box:
    if node.is_source:
        files = count(len(node.files), "file")
        hover = f"{node.address}\n{files}\n{node.licence}\ndigest {node.digest[:12]}"
        return Box(id_, "Source", node.name, files, "source", hover, link=id_)
    tone = "missing" if node.is_gap else "model" if node.address.startswith("models/") else "product"
    time = duration(seconds) if (seconds := _seconds(node)) else ""
    hover = f"{node.address}\n{node.step or 'its record is gone'}, digest {node.digest[:12]}"
    return Box(id_, title_of(node), node.name, time, tone, hover, share, id_)
