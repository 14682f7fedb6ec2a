"""An experiment: what a flow is to make, written once in YAML, checked by the class at the top of the flow.

`experiments/<flow>/<name>.yaml` holds only what differs from the defaults. `extends: <name>` starts from
another experiment. Each flow's class extends that of the flow before it, so one file can describe the whole
way from text to model, and every flow on that way can be run from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, ValidationError

from lmcore.config import Config, SettingsError, canonical, did_you_mean, explain
from lmcore.lineage import digest_of
from tasks.engine.entries import check_entries, without_nulls
from tasks.engine.schedule import Schedule
from tasks.engine.workspace import Workspace


class OtherFlow(SettingsError):
    """An experiment that describes something else than the flow makes."""


class Experiment(Config):
    """Base of all experiments."""

    name: str = ""
    """Taken from the file's name."""
    names: dict[str, str] = Field(default_factory=dict, exclude=True, repr=False)
    """For each class of experiment, the name under which its data is kept, see `data_name`."""
    schedule: Schedule | None = None
    """When `lm up` runs it by itself, with the flow in whose folder the file lies; extending does not hand
    it on."""

    def data_name(self, kind: type[Experiment]) -> str:
        """The name of the data that a part of this experiment makes.

        It is the experiment which last changed a setting that the data depends on: variants that extend an
        experiment and change only the model share its corpus.
        """
        return self.names.get(kind.__name__, self.name)

    @classmethod
    def kinds(cls) -> list[type[Experiment]]:
        """This class and those that it extends."""
        return [kind for kind in cls.__mro__ if issubclass(kind, Experiment) and kind is not Experiment]

    @classmethod
    def settings(cls) -> list[str]:
        return [name for name in cls.model_fields if name not in Experiment.model_fields]

    @classmethod
    def shaping(cls, kind: type[Experiment], settings: Mapping[str, Any]) -> set[str]:
        """The names of the settings that shape the data of a part of this experiment.

        Args:
            settings: as they are given, unchecked.
        """
        return set(kind.settings())

    @classmethod
    def assemble(cls, layers: Sequence[tuple[str, Mapping[str, Any]]], overrides: Mapping[str, Any]) -> Self:
        """Make one from layers (name, settings), the most special first, and overrides on top."""
        name = layers[0][0] + (f"-{_short(overrides)}" if overrides else "")
        settings = without_nulls(cls, _merge(merged(layers), overrides))
        names = {
            kind.__name__: _data_name(cls.shaping(kind, settings), layers, overrides) for kind in cls.kinds()
        }
        return cls(**settings, name=name, names=names)


def load_experiment(
    workspace: Workspace,
    flow: str,
    name: str,
    overrides: Sequence[str],
    kind_of: Callable[[str], type[Experiment]],
) -> Experiment:
    """Read an experiment and check it.

    Args:
        flow: the flow that is to run it; the file may be that of a later flow.
        overrides: `path.to.setting=value` as on the command line; values are YAML.
        kind_of: the class of experiments of a flow.

    Raises:
        SettingsError: there is none of that name, or a setting is wrong; one line with the cure.
    """
    file = _find(workspace, flow, name)
    chain = _chain(workspace, file)
    kind = _kind(workspace, file, flow, [kind_of(path.parent.name) for path in chain], kind_of(flow))
    own, *extended = [_fields(workspace, path) for path in chain]
    # Or every variant of a nightly experiment would run each night.
    extended = [_without_schedules(layer) for layer in extended]
    layers = list(zip((path.stem for path in chain), (own, *extended), strict=True))
    changes = _parse(overrides)
    check_entries(kind, merged(layers), overrides)
    try:
        return kind.assemble(layers, changes)
    except ValidationError as error:
        where = workspace.address(file) + (f" with {' '.join(overrides)}" if overrides else "")
        raise SettingsError(f"{where}: {explain(error, kind)}") from None


def _without_schedules(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_schedules(value) if isinstance(value, Mapping) else value
        for name, value in layer.items()
        if name != "schedule"
    }


def _kind(
    workspace: Workspace, file: Path, flow: str, kinds: Sequence[type[Experiment]], asked: type[Experiment]
) -> type[Experiment]:
    """The class that knows all settings of the files and of the flow."""
    widest = max([asked, *kinds], key=lambda kind: len(kind.model_fields))
    if not issubclass(widest, asked):
        where = workspace.address(file)
        raise OtherFlow(f"{where} describes no {flow}; write an experiment for it: lm {flow} --help")
    return widest


def experiment_files(workspace: Workspace, flow: str, name: str) -> list[Path]:
    """The file that describes an experiment for a flow, and those that it extends.

    Raises:
        SettingsError: there is none of that name.
    """
    return _chain(workspace, _find(workspace, flow, name))


def known_experiments(workspace: Workspace) -> dict[str, list[Path]]:
    """Experiment files by name."""
    found: dict[str, list[Path]] = {}
    for path in sorted(workspace.experiments.glob("*/*.yaml")):
        found.setdefault(path.stem, []).append(path)
    return found


def _find(workspace: Workspace, flow: str, name: str) -> Path:
    """The flow's own file, else the one file of that name: a later flow's describes this one too."""
    own = workspace.experiments / flow / f"{name}.yaml"
    if own.is_file():
        return own
    known = known_experiments(workspace)
    if name not in known:
        where = workspace.address(workspace.experiments)
        hint = did_you_mean(name, known) if known else f" Write one: {where}/{flow}/{name}.yaml"
        raise SettingsError(f"no experiment named '{name}' in {where}.{hint}")
    if len(known[name]) > 1:
        files = " and ".join(workspace.address(path) for path in known[name])
        raise SettingsError(f"experiment '{name}' is ambiguous: {files}; rename one")
    return known[name][0]


def _chain(workspace: Workspace, file: Path) -> list[Path]:
    """A file and those that it extends."""
    chain, known = [file], known_experiments(workspace)
    while base := _read(workspace, chain[-1]).get("extends"):
        if not isinstance(base, str) or base not in known:
            where, hint = workspace.address(chain[-1]), did_you_mean(str(base), known)
            raise SettingsError(f"{where} extends '{base}', which is no experiment.{hint}")
        # Two flows may each have one of that name: the flow's own goes first.
        found = sorted(known[base], key=lambda path: path.parent != chain[-1].parent)
        if found[0] in chain:
            raise SettingsError(f"{workspace.address(file)} extends itself, by way of '{base}'")
        chain.append(found[0])
    return chain


def _fields(workspace: Workspace, path: Path) -> dict[str, Any]:
    return {name: value for name, value in _read(workspace, path).items() if name != "extends"}


def _read(workspace: Workspace, path: Path) -> dict[str, Any]:
    where = workspace.address(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, ValueError) as error:
        line = " ".join(str(error).split())
        raise SettingsError(f"{where} is not YAML: {line}") from None
    if not isinstance(content, dict):
        raise SettingsError(f"{where} holds a {type(content).__name__}, not `setting: value` lines")
    _check_plain(content, where)
    if taken := {"name", "names"} & content.keys():
        raise SettingsError(f"{where}: '{min(taken)}' is not set here; an experiment is named by its file")
    return content


def _parse(overrides: Sequence[str]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path:
            raise SettingsError(f"'{override}' is no override; write setting=value, such as train.steps=100")
        try:
            value: Any = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError):
            raise SettingsError(f"the value of '{path}' does not read as YAML: {text}") from None
        _check_plain(value, f"'{override}'")
        if path in ("name", "names"):
            raise SettingsError(f"'{path}' is not set here; an experiment is named by its file")
        if path.partition(".")[0] == "schedule":
            raise SettingsError(f"'{path}' is not set here; write it into the experiment's file")
        for part in reversed(path.split(".")):
            value = {part: value}
        changes = _merge(changes, value)
    return changes


def _check_plain(value: Any, where: str) -> None:
    """Refuse what YAML knows and JSON does not: dates, sets, names that are numbers."""
    try:
        canonical(value)
    except TypeError:
        raise SettingsError(
            f"{where} holds a date, a set, or a name that is no text; write it in quotes"
        ) from None


def merged(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """What layers (name, settings) come to, of which the most special stands first."""
    settings: dict[str, Any] = {}
    for _, layer in reversed(layers):
        settings = _merge(settings, layer)
    return settings


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged, everything else is replaced."""
    merged = dict(base)
    for name, value in change.items():
        before: Any = merged.get(name)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[name] = _merge(before, value) if both and not _is_other_part(before, value) else value
    return merged


def _is_other_part(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Another type of part has other dials: those of the one before do not belong to it."""
    return "type" in before and "type" in now and before["type"] != now["type"]


def _data_name(
    fields: set[str], layers: Sequence[tuple[str, Mapping[str, Any]]], overrides: Mapping[str, Any]
) -> str:
    origin = next((name for name, layer in layers if fields & layer.keys()), layers[-1][0])
    relevant = {name: value for name, value in overrides.items() if name in fields}
    return f"{origin}-{_short(relevant)}" if relevant else origin


def _short(value: Mapping[str, Any]) -> str:
    return digest_of(value)[:6]
