"""Code that makes the same bytes as older code: keys are computed as with the older one, and nothing moves.

`accepted.yaml` at the workspace's root belongs into git:

    pretrain_model:
      5f0c2a9b1e3d4c6a:                  # fingerprint of the new code
        same_as: 90ab12cd34ef5678        # of the old code, under which the products are
        because: replayed 20 steps, equal to models/pretrain_model-0123456789ab
        when: '2026-08-01'
        changed: lmcore.train.loop.train

What the old code stands for itself is followed to the end. A removed entry makes its step run again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lmcore.config import SettingsError
from lmcore.lineage import digest_of

FILE = "accepted.yaml"
HEADER = """\
# Written by `lm ... --accept-code`: new code that makes the same bytes as the older code that it stands for,
# by step and fingerprint. Keep it in git. Remove an entry, and what it covers is made again.
"""
DIGITS = 16
_FINGERPRINT = re.compile(rf"^[0-9a-f]{{{DIGITS}}}$")
_FIELDS = ("same_as", "because", "when", "changed")


def fingerprint_of(code: Mapping[str, str]) -> str:
    """One short name for all the definitions that a step reaches."""
    return digest_of(code)[:DIGITS]


@dataclass(frozen=True)
class Entry:
    """Some new code, and the old code that it stands for."""

    same_as: str
    because: str = ""
    when: str = ""
    changed: str = ""
    """The definitions that differ, for readers."""


@dataclass(frozen=True)
class Accepted:
    """The whole map: step -> fingerprint of the new code -> entry."""

    entries: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)

    def resolve(self, step: str, fingerprint: str) -> str:
        """The code that keys are computed with in place of this one; chains are followed to their end."""
        entries, seen = self.entries.get(step, {}), [fingerprint]
        while entry := entries.get(seen[-1]):
            if entry.same_as in seen:
                chain = " -> ".join([*seen, entry.same_as])
                raise SettingsError(f"{FILE}: the code of {step} stands for itself ({chain}); remove one")
            seen.append(entry.same_as)
        return seen[-1]

    def why(self, step: str, fingerprint: str) -> str | None:
        """Why this code was accepted, in words; None if it was not."""
        entry = self.entries.get(step, {}).get(fingerprint)
        return (entry.because.partition(",")[0] or "by hand") if entry else None

    def with_entry(self, step: str, fingerprint: str, entry: Entry) -> Accepted:
        """The map with one entry more.

        Raises:
            SettingsError: the old code stands for the new one already.
        """
        if self.resolve(step, entry.same_as) == fingerprint:
            raise SettingsError(
                f"{FILE} says that {step} {entry.same_as} stands for {fingerprint}, which is to be accepted "
                "the other way round; remove that entry first"
            )
        return Accepted({**self.entries, step: {**self.entries.get(step, {}), fingerprint: entry}})


def read_accepted(root: Path) -> Accepted:
    """A workspace's map; an empty one where there is no file.

    Raises:
        SettingsError: the file is damaged, or was edited into something else; one line with the cure.
    """
    try:
        text = (root / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Accepted()
    except (OSError, ValueError) as error:
        raise _wrong(f"cannot be read ({' '.join(str(error).split())})") from None
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)  # every scalar is a text, also one of digits alone
    except yaml.YAMLError as error:
        raise _wrong(f"is not YAML ({' '.join(str(error).split())})") from None
    accepted = Accepted(
        {step: {code: _entry(place, each) for code, place, each in _pairs(entries)}
         for step, _, entries in _pairs(node)}
    )  # fmt: skip
    for step, entries in accepted.entries.items():
        for code, entry in entries.items():
            for each in (code, entry.same_as):
                if not _FINGERPRINT.match(each):
                    raise _wrong(f"has '{each}' for {step} where {DIGITS} hexadecimal digits belong")
            accepted.resolve(step, code)
    return accepted


def write_accepted(root: Path, accepted: Accepted) -> None:
    """Replace the file in one step; the caller holds whatever keeps others from doing so."""
    plain = {
        step: {code: _plain(entry) for code, entry in codes.items()}
        for step, codes in accepted.entries.items()
    }
    scratch = root / ".lm" / FILE
    scratch.parent.mkdir(parents=True, exist_ok=True)
    scratch.write_text(HEADER + yaml.safe_dump(plain, sort_keys=True, width=1000), encoding="utf-8")
    scratch.replace(root / FILE)


def _plain(entry: Entry) -> dict[str, str]:
    return {name: text for name, text in vars(entry).items() if text}


def _entry(place: int, node: Any) -> Entry:
    fields: dict[str, str] = {}
    for name, line, value in _pairs(node):
        if name not in _FIELDS:
            raise _wrong(f"has '{name}' in line {line}; an entry holds {', '.join(_FIELDS)}")
        if not isinstance(value, yaml.ScalarNode):
            raise _wrong(f"has no text for '{name}' in line {line}")
        fields[name] = value.value
    if "same_as" not in fields:
        raise _wrong(f"has an entry without 'same_as' in line {place}")
    return Entry(**fields)


def _pairs(node: Any) -> Iterator[tuple[str, int, Any]]:
    """(name, line, value) of a mapping, in which every name stands once."""
    if node is None or (isinstance(node, yaml.ScalarNode) and node.value == ""):
        return
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(f"holds a {node.id} in line {line}, not `name: value` lines")
    seen = set()
    for name, value in node.value:
        line = name.start_mark.line + 1
        if not isinstance(name, yaml.ScalarNode) or name.value in seen:
            raise _wrong(f"has a name in line {line} that is no text, or stands there twice")
        seen.add(name.value)
        yield name.value, line, value


def _wrong(what: str) -> SettingsError:
    return SettingsError(
        f"{FILE} {what}; mend it (git shows what it was), or remove it: what it covers is then made again"
    )
