"""Registering models: versions that load anywhere, found again by the product that they were made from.

A registered model holds a copy of the product's folder, the code that runs it and a signature; weights are
safetensors, nothing is pickled. A killed registration leaves no half: the next one takes it up.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from filecmp import cmp
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.tracking import moves
from tasks.tracking.journal import check_name, holding
from tasks.tracking.names import legal_name, model_name
from tasks.tracking.numbering import MODEL, create_version, settle_version
from tasks.tracking.registrar import the_version
from tasks.tracking.run import experiment_id
from tasks.tracking.standing import CHALLENGER
from tasks.tracking.store import TrackingError, open_store, quiet
from tasks.tracking.versions import Registered, find_model, registered, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

CODE = Path(__file__).parents[1] / "pyfunc_model.py"
REQUIREMENTS = ("mlflow", "torch", "tokenizers", "safetensors", "numpy", "pandas", "pydantic", "jinja2")
PARAMETERS = {"max_new_tokens": 64, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0, "chat": False}
LONGEST_ALIAS = 255
PRODUCT_FILES = ("config.json", "model.safetensors", "tokenizer.json")
__all__ = ["Registered", "find_model", "register", "registered", "set_alias", "versions"]


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
    number: int | None = None,
    who: str | None = None,
) -> Registered:
    """Make a version of a model product under `name`, and move the alias to it; the first is `champion`.

    The same product (by digest) is not registered twice: its version is returned, its alias and a lost copy
    are repaired. One that the journal knows gets the number and the aliases that it had.

    Args:
        alias: as in `moves.enlist`; None: no alias moves, `champion` neither.
        run_id: the run that made the product.
        model_id: the LoggedModel announced for it by `StepRun.start_model`; left out: found by the key.
        is_chat: a prompt is a question that the model answers, unless the caller says otherwise.
        metrics: shown on the version and on the model's page.
        attachments: contents by file name, among the model's artifacts.
        number: what the version had before a registry lost it, should the journal not know.
        who: registers it, for the journal; `user@host` if left out.

    Raises:
        TrackingError: the folder is no model product, or MLflow does not take the name or the alias.
    """
    _check(model_folder, name, alias)
    metrics, client = metrics or {}, open_store(workspace)
    run_id = run_id if run_id and _is_run(client, run_id) else None  # a product may outlive the store
    with holding(workspace):
        found = _version_of(workspace, name, digest)
        if found is None or not _is_whole(found.folder, model_folder):
            its_own = (found.model_id or found.tags.get(MODEL)) if found else None
            known = its_own or model_id or find_model(workspace, key)
            model = _logged_model(workspace, client, known, name, run_id)
            example = Example(example_prompt, PARAMETERS | {"chat": is_chat})
            copy = _save(model, model_folder, run_id, example, attachments or {})
            if found is None:
                texts = {"lm.key": key, "lm.digest": digest, "lm.copy": copy, **(tags or {}), **metrics}
                _settle_model(client, model, texts, run_id, metrics)
                create_version(client, name, model, run_id, texts, description)
        if new := _version_of(workspace, name, digest):
            settle_version(workspace, client, new, number)
        made = _version_of(workspace, name, digest)
        assert made
        if alias:
            moves.enlist(workspace, name, made.version, alias, who)
        return the_version(workspace, name, made.version)


def _version_of(workspace: Path, name: str, digest: str) -> Registered | None:
    return next((version for version in versions(workspace, name) if version.digest == digest), None)


def set_alias(workspace: Path, name: str, alias: str, version: int, why: str = "") -> Registered:
    """Move an alias to a version by hand, see `moves.set_alias`.

    Raises:
        TrackingError: there is no such version, or MLflow does not take the alias.
    """
    check_alias(alias)
    return moves.set_alias(workspace, name, alias, version, why)


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
    check_name(name)
    if alias is not None:
        check_alias(alias)


def check_alias(alias: str) -> None:
    """Refuse what MLflow would refuse, before a line of the journal says that it is going to be moved.

    Raises:
        TrackingError: with what was expected.
    """
    is_taken = alias == "latest" or (alias[:1] in "vV" and alias[1:].isdecimal())
    is_word = alias.replace("-", "").replace("_", "").isalnum()
    if not is_word or is_taken or len(alias) > LONGEST_ALIAS:
        raise TrackingError(
            f"'{alias}' cannot be an alias: expected letters, digits, - and _, but not 'latest' or 'v1', "
            f"such as {CHALLENGER}"
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
