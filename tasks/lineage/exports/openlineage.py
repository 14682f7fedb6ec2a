"""The graph as OpenLineage events: each step a job, each product a dataset, sources with their files.

Of a step of which it is known when it ran, a START and a COMPLETE; of another one a JobEvent, which says what
it read and wrote and nothing of a run. Settings, code and costs are facets of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lmcore.lineage import Manifest
from tasks.lineage.exports import PROJECT, id_of, needing, project_version
from tasks.lineage.graph import Node, ordered
from tasks.lineage.words import flat_settings, words_on

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, JobEvent, OutputDataset, RunEvent

COSTS = ("seconds", "cpu_seconds", "peak_memory")


def events(root: Node) -> str:
    """JSON lines, an event each, in the order in which things were made.

    Raises:
        SettingsError: openlineage-python is not installed.
    """
    with needing("openlineage-python"):
        from openlineage.client.serde import Serde
    found = [event for node in ordered(root) if node.manifest for event in _events(node, node.manifest)]
    return "".join(Serde.to_json(event) + "\n" for event in found)


def _events(node: Node, manifest: Manifest) -> Iterator[RunEvent | JobEvent]:
    from openlineage.client.event_v2 import Job, JobEvent, Run, RunEvent, RunState

    job = Job(PROJECT, f"{manifest.step} {manifest.name}", _job_facets(manifest))
    inputs = [_read(each) for each in {each.identity: each for _, each in node.inputs}.values()]
    outputs = [_written(node, manifest)]
    made = manifest.provenance
    if "finished" not in made:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        yield JobEvent(eventTime=now, job=job, inputs=inputs, outputs=outputs, producer=_producer())
        return
    run = Run(str(id_of(f"run {manifest.key} {made['finished']}")), _run_facets(manifest))
    finished = datetime.fromisoformat(made["finished"])
    started = finished - timedelta(seconds=made["seconds"])
    for when, state in ((started, RunState.START), (finished, RunState.COMPLETE)):
        yield RunEvent(
            eventTime=when.isoformat(timespec="milliseconds"),
            run=run,
            job=job,
            eventType=state,
            inputs=inputs,
            outputs=outputs,
            producer=_producer(),
        )


def _producer() -> str:
    """A URI, as the format wants it: a package URL."""
    return f"pkg:pypi/{PROJECT}@{project_version()}"


def _job_facets(manifest: Manifest) -> dict[str, Any]:
    from openlineage.client.facet_v2 import documentation_job, job_type_job

    producer = _producer()
    told = words_on(manifest.step).sentence
    return {
        "documentation": documentation_job.DocumentationJobFacet(description=told, producer=producer),
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration=PROJECT.upper(), jobType="TASK", producer=producer
        ),
    }


def _run_facets(manifest: Manifest) -> dict[str, Any]:
    from openlineage.client.facet_v2 import (
        execution_parameters_run,
        parent_run,
        processing_engine_run,
        tags_run,
    )

    made, producer = manifest.provenance, _producer()
    settings = [
        execution_parameters_run.ExecutionParameter(key=path, value=str(value))
        for path, value in flat_settings(manifest.key_document.get("settings", {}))
    ]
    tags = [tags_run.TagsRunFacetFields(key, value, PROJECT) for key, value in _tags(manifest)]
    facets: dict[str, Any] = {
        "executionParameters": execution_parameters_run.ExecutionParametersRunFacet(
            settings, producer=producer
        ),
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            project_version(), PROJECT, producer=producer
        ),
        "tags": tags_run.TagsRunFacet(tags, producer=producer),
    }
    if made.get("flow"):
        facets["parent"] = parent_run.ParentRunFacet(
            parent_run.Run(str(id_of(f"flow run {made['run']}"))),
            parent_run.Job(PROJECT, f"{made['flow']} {made['experiment']}"),
            producer=producer,
        )
    return facets


def _tags(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What no facet of the standard has a place for."""
    yield "lm.key", manifest.key
    if fingerprint := manifest.key_document.get("fingerprint"):
        yield "lm.code", fingerprint
    made = manifest.provenance
    yield from ((f"cost.{name}", str(made[name])) for name in COSTS if name in made)
    yield from ((f"{service}_run", made[f"{service}_run_id"]) for service in ("mlflow", "prefect")
                if made.get(f"{service}_run_id"))  # fmt: skip
    if git := made.get("git"):
        yield "git.commit", git["commit"] + ("+changes" if git["dirty"] else "")
    yield from ((f"library.{name}", version) for name, version in manifest.environment.items())


def _read(node: Node) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset

    return InputDataset(PROJECT, node.address, facets=_dataset_facets(node))


def _written(node: Node, manifest: Manifest) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    documents = manifest.facts.get("documents")
    counted = statistics.OutputStatisticsOutputDatasetFacet(
        rowCount=documents if isinstance(documents, int) else None,
        size=manifest.size if manifest.files else None,
        fileCount=len(manifest.files) or None,
        producer=_producer(),
    )
    return OutputDataset(
        PROJECT, node.address, facets=_dataset_facets(node), outputFacets={"outputStatistics": counted}
    )


def _dataset_facets(node: Node) -> dict[str, Any]:
    from openlineage.client.facet_v2 import (
        DatasetFacet,
        dataset_type_dataset,
        dataset_version_dataset,
        tags_dataset,
    )

    producer = _producer()
    is_model = node.address.startswith("models/")
    facets: dict[str, Any] = {
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(node.digest, producer=producer),
        "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(
            "MODEL" if is_model else "FILE", producer=producer
        ),
    }
    if node.is_source:
        licence = tags_dataset.TagsDatasetFacetFields("licence", node.licence, PROJECT)
        facets["tags"] = tags_dataset.TagsDatasetFacet([licence], producer=producer)
        files = DatasetFacet(producer=producer).with_additional_properties(sha256=dict(node.files))
        facets[f"{PROJECT}_files"] = files
    return facets
