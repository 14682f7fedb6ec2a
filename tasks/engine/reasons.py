"""Why a product has to be made again, in words: what differs between two key documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_LONGEST = 40


def differences(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each setting, input and definition that changed, old -> new. Inputs not known yet are passed over."""
    reasons = list(_settings(was.get("settings", {}), now.get("settings", {})))
    reasons += _inputs(was.get("inputs", {}), now.get("inputs", {}))
    if "carried" in was and "carried" in now and was["carried"] != now["carried"]:
        before, after = _digests(was["carried"]), _digests(now["carried"])
        reasons.append(f"what is carried over changed: {before} -> {after}")
    if "sees" in was and "sees" in now:
        reasons += _settings(was["sees"], now["sees"])
    if "fingerprint" not in now or was.get("fingerprint") != now["fingerprint"]:  # else it was accepted
        reasons += _code(was.get("code", {}), now.get("code", {}))
    if was.get("format") != now.get("format"):
        reasons.append(f"format of products {was.get('format')} -> {now.get('format')}")
    return reasons


def changed_files(was: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Each file of a source that is new, gone or changed."""
    return [
        f"{name} {'is new' if name not in was else 'is gone' if name not in now else 'changed'}"
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]


def in_words(reasons: list[str], most: int = 3) -> str:
    """The first few reasons on one line."""
    more = f" (+{len(reasons) - most} more)" if len(reasons) > most else ""
    return "; ".join(reasons[:most]) + more


def _settings(was: Any, now: Any) -> Iterator[str]:
    before, after = ({path: item for path, item in _flat(each) if path} for each in (was, now))
    for path in [*after, *(path for path in before if path not in after)]:
        if path not in before:
            yield f"{path} is new: {_short(after[path])}"
        elif path not in after:
            yield f"{path} is gone (was {_short(before[path])})"
        elif _spelled(before[path]) != _spelled(after[path]):
            yield f"{path} {_short(before[path])} -> {_short(after[path])}"


def _inputs(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name, digest in now.items():
        if name not in was:
            yield f"{name} is a new input"
        elif digest != was[name] and not _unknown(digest):
            yield f"{name} changed: {_digests(was[name])} -> {_digests(digest)}"
    yield from (f"{name} is no input any more" for name in was if name not in now)


def _code(was: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(set(was) | set(now)):
        module, _, definition = name.partition(":")
        readable = f"{module}.{definition}" if definition else f"top level of {module}"
        if name not in was:
            yield f"code: {readable} is new"
        elif name not in now:
            yield f"code: {readable} is no longer used"
        elif was[name] != now[name]:
            yield f"code: {readable} changed"


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        for number, item in enumerate(value):
            yield from _flat(item, f"{path}[{number}]")
    else:
        yield path, value


def _spelled(value: Any) -> str:
    """1, 1.0 and True are equal, but not one key."""
    return json.dumps(value, sort_keys=True)


def _unknown(digest: Any) -> bool:
    return digest is None or (isinstance(digest, list) and None in digest)


def _digests(value: Any) -> str:
    return "+".join(_digests(item) for item in value) if isinstance(value, list) else str(value)[:8]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
