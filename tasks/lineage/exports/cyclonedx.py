"""The graph as a CycloneDX 1.6 bill of materials: the model with its card, the data, the libraries.

The library knows components, hashes, licences and dependencies, but neither model cards nor what is in a data
component (as of 11.12); both are put into its JSON by the standard's own schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.lineage.exports import PROJECT, id_of, needing, project_version
from tasks.lineage.graph import Node, ordered, sources_of
from tasks.lineage.words import Score, entitled, flat_settings, outcome_of, scores_in, words_on

if TYPE_CHECKING:
    from cyclonedx.model import HashType, Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

MODELS = "models/"
NO_LIBRARIES = ("cpu", "python")


def bill_of_materials(root: Node, name: str, version: str, scores: Mapping[str, float]) -> str:
    """The bill as JSON; the same product gives the same one.

    Args:
        name, version: what the model is registered as, or its own name and the beginning of its digest.
        scores: on the test side, by name.

    Raises:
        SettingsError: cyclonedx-python-lib is not installed.
    """
    with needing("cyclonedx-python-lib"):
        from cyclonedx.output.json import JsonV1Dot6
    written = json.loads(JsonV1Dot6(_bom(root, name, version)).output_as_string())
    main = written["metadata"]["component"]
    if main["type"] == "machine-learning-model":
        main["modelCard"] = _model_card(root, scores)
    nodes = {ref_of(node): node for node in ordered(root)}
    for component in written.get("components", ()):
        node = nodes.get(component["bom-ref"])
        if node and component["type"] == "data":
            component["data"] = [_contents(node)]
    return json.dumps(written, indent=1, ensure_ascii=False) + "\n"


def ref_of(node: Node) -> str:
    """How the bill names a product."""
    return f"{node.address}@{node.digest[:12]}"


def _bom(root: Node, name: str, version: str) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    nodes = ordered(root)
    components = {node.identity: _component(node) for node in nodes}
    main = components[root.identity]
    main.name, main.version = name, version
    libraries = list(_libraries(nodes))
    tool = Component(name=PROJECT, version=project_version(), type=ComponentType.APPLICATION)
    bom = Bom(
        components=[*(each for each in components.values() if each is not main), *libraries],
        metadata=BomMetaData(component=main, tools=ToolRepository(components=[tool]), timestamp=_when(root)),
        serial_number=id_of(f"bill of {root.digest} as {name} {version}"),
    )
    for node in nodes:
        made_from = [components[each.identity] for _, each in node.inputs]
        bom.register_dependency(components[node.identity], made_from)
    bom.register_dependency(main, libraries)
    return bom


def _when(root: Node) -> datetime:
    made = root.manifest.provenance if root.manifest else {}
    return datetime.fromisoformat(made["finished"]) if "finished" in made else datetime.now(UTC)


def _component(node: Node) -> Component:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.component import Component, ComponentType

    is_model = node.address.startswith(MODELS)
    return Component(
        bom_ref=ref_of(node),
        name=node.name if node.is_source else entitled(node),
        version=node.digest[:12],
        type=ComponentType.MACHINE_LEARNING_MODEL if is_model else ComponentType.DATA,
        description=_description(node),
        licenses=[LicenseFactory().make_from_string(node.licence)] if node.licence else [],
        components=list(_files(node)),
        properties=list(_properties(node)),
    )


def _description(node: Node) -> str:
    if node.is_source:
        return f"Source files at {node.address}"
    outcome = outcome_of(node.step, node.manifest.facts) if node.manifest else ""
    return f"{words_on(node.step).sentence}{f' ({outcome})' if outcome else ''}"


def _files(node: Node) -> Iterator[Component]:
    """Each file with its SHA-256: of sources, and of models."""
    from cyclonedx.model.component import Component, ComponentType

    files = dict(node.files)
    if node.manifest and node.address.startswith(MODELS):
        files = {name: entry.sha256 for name, entry in node.manifest.files.items()}
    for path, sha in sorted(files.items()):
        ref = f"{ref_of(node)}/{path}"
        yield Component(bom_ref=ref, name=path, type=ComponentType.FILE, hashes=[_hash(sha)])


def _hash(sha: str) -> HashType:
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=sha)


def _properties(node: Node) -> Iterator[Property]:
    """What no field of the standard has a place for."""
    from cyclonedx.model import Property

    yield Property(name=f"{PROJECT}:digest", value=node.digest)
    if made := node.manifest:
        yield Property(name=f"{PROJECT}:step", value=made.step)
        yield Property(name=f"{PROJECT}:key", value=made.key)
        if fingerprint := made.key_document.get("fingerprint"):
            yield Property(name=f"{PROJECT}:code", value=fingerprint)
        if git := made.provenance.get("git"):
            changes = "+changes" if git["dirty"] else ""
            yield Property(name=f"{PROJECT}:commit", value=f"{git['commit']}{changes}")
        for path, value in flat_settings(made.key_document.get("settings", {})):
            yield Property(name=f"{PROJECT}:setting:{path}", value=str(value))


def _libraries(nodes: Sequence[Node]) -> Iterator[Component]:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    versions = {
        (name, version)
        for node in nodes
        for name, version in (node.manifest.environment if node.manifest else {}).items()
        if name not in NO_LIBRARIES
    }
    for name, version in sorted(versions):
        purl = PackageURL("pypi", name=name, version=version)
        yield Component(bom_ref=str(purl), name=name, version=version, purl=purl, type=ComponentType.LIBRARY)


def _contents(node: Node) -> dict[str, Any]:
    facts = node.manifest.facts if node.manifest else {"files": len(node.files), "licence": node.licence}
    rows = [{"name": name, "value": str(value)} for name, value in sorted(facts.items())]
    return {"type": "dataset", "name": node.name, "contents": {"properties": rows}}


def _model_card(root: Node, scores: Mapping[str, float]) -> dict[str, Any]:
    steps = {node.step for node in ordered(root)}
    settings = dict(_architecture(root))
    approach = "supervised" if "finetune_model" in steps else "self-supervised"
    parameters = {
        "approach": {"type": approach},
        "task": "text generation",
        "architectureFamily": str(settings.get("model.type", "transformer")),
        "datasets": [{"ref": ref_of(source)} for source in sources_of(root)],
        "inputs": [{"format": "text"}],
        "outputs": [{"format": "text"}],
    }
    metrics = [_metric(score) for score in scores_in(scores)]
    return {"modelParameters": parameters, "quantitativeAnalysis": {"performanceMetrics": metrics}}


def _architecture(root: Node) -> Iterator[tuple[str, Any]]:
    for node in ordered(root):
        if node.manifest and node.step == "pretrain_model":
            yield from flat_settings(node.manifest.key_document.get("settings", {}))


def _metric(score: Score) -> dict[str, Any]:
    metric = {"type": score.name, "value": f"{score.value:.6g}", "slice": "test side"}
    if score.low is None or score.high is None:
        return metric
    bounds = {"lowerBound": f"{score.low:.6g}", "upperBound": f"{score.high:.6g}"}
    return metric | {"confidenceInterval": bounds}
