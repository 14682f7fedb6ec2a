"""Registering models: versions that load anywhere, found again by the product that they were made from.

A registered model holds a copy of the product's folder, the code that runs it and a signature; weights are
safetensors, nothing is pickled. A killed registration leaves no half: the next one takes it up.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from filecmp import cmp
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.engine.locks import lock
from tasks.tracking.names import legal_name, model_name
from tasks.tracking.run import experiment_id
from tasks.tracking.store import TrackingError, open_store, quiet, writing
from tasks.tracking.versions import Registered, find_model, registered, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

CODE = Path(__file__).parents[1] / "pyfunc_model.py"
REQUIREMENTS = ("mlflow", "torch", "tokenizers", "safetensors", "numpy", "pandas", "pydantic", "jinja2")
PARAMETERS = {"max_new_tokens": 64, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0, "chat": False}
PRODUCT_FILES = ("config.json", "model.safetensors", "tokenizer.json")
__all__ = ["Registered", "find_model", "register", "registered", "set_alias", "versions"]
LOCK = Path(".lm") / "registry.lock"
CHAMPION, PREVIOUS = "champion", "previous"


class Example(NamedTuple):
    """What is shown with a registered model, and run once when it is stored."""

    prompt: str
    parameters: dict[str, Any]


def register(
    workspace: Path,
    model_folder: Path,
    *,
    name: str,
    alias: str | None,
    key: str,
    digest: str,
    run_id: str | None = None,
    model_id: str | None = None,
    example_prompt: str = "Once upon a time",
    is_chat: bool = False,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    attachments: Mapping[str, str | bytes] | None = None,
) -> Registered:
    """Make a version of a model product under `name`, and move the alias to it.

    The same product (by digest) is not registered twice: its version is returned, its alias and a lost copy
    are repaired. `run_id` is the run that made the product, `model_id` the LoggedModel announced for it by
    `StepRun.start_model` (left out: found by the key). `is_chat`: a prompt is a question that the model
    answers, unless the caller says otherwise. `metrics` show on the version and on the model's page,
    `attachments` (contents by file name) among the model's artifacts.

    Raises:
        TrackingError: the folder is no model product, or MLflow does not take the name or the alias.
    """
    _check(model_folder, name, alias)
    metrics, client = metrics or {}, open_store(workspace)
    run_id = run_id if run_id and _is_run(client, run_id) else None  # a product may outlive the store
    with lock(workspace / LOCK):
        found = next((version for version in versions(workspace, name) if version.digest == digest), None)
        if found is None or not _is_whole(found.folder, model_folder):
            known = (found.model_id if found else None) or model_id or find_model(workspace, key)
            model = _logged_model(workspace, client, known, name, run_id)
            example = Example(example_prompt, PARAMETERS | {"chat": is_chat})
            copy = _save(model, model_folder, run_id, example, attachments or {})
            if found is None:
                texts = {"lm.key": key, "lm.digest": digest, "lm.copy": copy, **(tags or {}), **metrics}
                _settle_model(client, model, texts, run_id, metrics)
                _new_version(workspace, client, name, model, run_id, texts, description)
        version = next(v.version for v in versions(workspace, name) if v.digest == digest)
        if alias:
            _move_alias(workspace, client, name, alias, version)
        return _the_version(workspace, name, version)


def set_alias(workspace: Path, name: str, alias: str, version: int) -> Registered:
    """Move an alias to a version; whoever was `champion` before becomes `previous`.

    Raises:
        TrackingError: there is no such version, or MLflow does not take the alias.
    """
    _check_alias(alias)
    client = open_store(workspace)
    with lock(workspace / LOCK):
        _the_version(workspace, name, version)
        _move_alias(workspace, client, name, alias, version)
        return _the_version(workspace, name, version)


def _the_version(workspace: Path, name: str, version: int) -> Registered:
    found = registered(workspace, name, version)
    if found is None:
        known = ", ".join(f"v{other.version}" for other in versions(workspace, name)) or "none"
        raise TrackingError(f"model '{name}' has no version {version}; registered: {known}")
    return found


def _is_run(client: MlflowClient, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id).info.lifecycle_stage == "active"
    except MlflowException:
        return False


def _check(model_folder: Path, name: str, alias: str | None) -> None:
    missing = [file for file in PRODUCT_FILES if not (model_folder / file).is_file()]
    if missing:
        raise TrackingError(
            f"{model_folder} is no finished model: it has no {', '.join(missing)}; train it first"
        )
    if not name.strip() or set(name) & set("/:"):
        raise TrackingError(f"'{name}' cannot name a registered model: expected a name without '/' and ':'")
    if alias is not None:
        _check_alias(alias)


def _check_alias(alias: str) -> None:
    is_like_version = alias[:1] in "vV" and alias[1:].isdecimal()
    if not alias.replace("-", "").replace("_", "").isalnum() or is_like_version or alias == "latest":
        raise TrackingError(
            f"'{alias}' cannot be an alias: expected letters, digits, - and _, but not 'latest' or 'v1', "
            f"such as {CHAMPION}"
        )


def _is_whole(copy: Path, model_folder: Path) -> bool:
    """Whether the registry's copy still has each of the product's files, byte for byte."""
    files = [file for file in model_folder.rglob("*") if file.is_file()]
    pairs = [(copy / file.relative_to(model_folder), file) for file in files]
    return all(twin.is_file() and cmp(twin, file, shallow=False) for twin, file in pairs)


def _logged_model(
    workspace: Path, client: MlflowClient, known: str | None, name: str, run_id: str | None
) -> LoggedModel:
    """The LoggedModel to fill: the one that is known by its id, else a new one."""
    if known:
        return client.get_logged_model(known)
    experiment = client.get_run(run_id).info.experiment_id if run_id else experiment_id(workspace, name)
    return client.create_logged_model(
        experiment, name=model_name(name), source_run_id=run_id, model_type="language-model"
    )


def _save(
    model: LoggedModel,
    model_folder: Path,
    run_id: str | None,
    example: Example,
    attachments: Mapping[str, str | bytes],
) -> str:
    """Write the loadable model into its place in one rename; returns where the product's copy lies in it."""
    home = Path(model.artifact_location)
    scratch = home.with_name(f".{home.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    with quiet():
        import mlflow
        from mlflow.models import Model, infer_signature

        described = Model(run_id=run_id, model_id=model.model_id)
        mlflow.pyfunc.save_model(
            path=str(scratch),
            python_model=str(CODE),
            code_paths=[str(_lmcore())],
            artifacts={"model": str(model_folder.resolve())},
            signature=infer_signature([example.prompt], ["a continuation"], params=example.parameters),
            input_example=([example.prompt], example.parameters),
            pip_requirements=_requirements(),
            mlflow_model=described,
        )
    for file, content in attachments.items():
        (scratch / file).write_bytes(content.encode() if isinstance(content, str) else content)
    shutil.rmtree(home, ignore_errors=True)
    scratch.rename(home)
    return str(described.flavors["python_function"]["artifacts"]["model"]["path"])


def _lmcore() -> Path:
    import lmcore

    return Path(next(iter(lmcore.__path__)))


def _requirements() -> list[str]:
    """The versions at hand, without the local part that no package index serves (`2.13.0+cpu`)."""
    return [f"{package}=={metadata.version(package).partition('+')[0]}" for package in REQUIREMENTS]


def _settle_model(
    client: MlflowClient,
    model: LoggedModel,
    tags: Mapping[str, Any],
    run_id: str | None,
    metrics: Mapping[str, float],
) -> None:
    """The model's own page says what the version's says."""
    from mlflow.entities import Metric

    texts = {legal_name(tag): str(value) for tag, value in tags.items() if tag not in metrics}
    client.set_logged_model_tags(model.model_id, texts)
    if str(model.status) != "READY":
        client.finalize_logged_model(model.model_id, "READY")
    if run_id and metrics:
        now = int(time.time() * 1000)
        rows = [
            Metric(legal_name(metric), float(value), now, 0, model_id=model.model_id, run_id=run_id)
            for metric, value in metrics.items()
        ]
        client.log_batch(run_id, metrics=rows)


def _new_version(
    workspace: Path,
    client: MlflowClient,
    name: str,
    model: LoggedModel,
    run_id: str | None,
    tags: Mapping[str, Any],
    description: str | None,
) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name,
        source=model.artifact_location,
        run_id=run_id,
        tags={legal_name(tag): str(value) for tag, value in tags.items()},
        description=description,
        await_creation_for=0,  # a local registry has made it when it answers
    )
    # MLflow looks a source `models:/m-...` up in the process's default store, which may be another
    # workspace's; so the link from the version's page to the model's is set here.
    with writing(workspace) as connection:
        connection.execute(
            "UPDATE model_versions SET source = ? WHERE name = ? AND version = ?",
            (f"models:/{model.model_id}", name, int(version.version)),
        )
    # And the link back, as MLflow's own `register_model` sets it.
    shown = json.loads(client.get_logged_model(model.model_id).tags.get("mlflow.modelVersions") or "[]")
    shown = json.dumps([*shown, {"name": name, "version": int(version.version)}])
    client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": shown})


def _move_alias(workspace: Path, client: MlflowClient, name: str, alias: str, version: int) -> None:
    holder = registered(workspace, name, alias)
    if holder and holder.version == version:
        return
    if holder and alias == CHAMPION:
        client.set_registered_model_alias(name, PREVIOUS, str(holder.version))
    client.set_registered_model_alias(name, alias, str(version))
