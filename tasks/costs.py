"""What products took to make, and what reuse has saved: time, processor, GPU, tokens, memory, bytes.

What a product took stands in its provenance. What runs have reused is noted in `.lm/costs.jsonl`, a line for
each run that came to its end, append-only; runs that are not in it (the file was lost, a run was killed) are
found again in MLflow's books, but for those that reused everything: they keep none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from lmcore.lineage import Manifest
from tasks.engine.locks import lock
from tasks.engine.session import Session
from tasks.engine.store import Store
from tasks.engine.workspace import Workspace

LEDGER, DIGITS = "costs.jsonl", 12
"""Of a key stand so many digits in the ledger."""
KEPT = ("reused", "restored")


@dataclass(frozen=True)
class Cost:
    """What some products took together, on the machines that made them."""

    products: int = 0
    seconds: float = 0.0
    """On the wall, one product after the other."""
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    """On the wall, of products that were made on a GPU."""
    tokens: int = 0
    """That a model learned from, read again ones included."""
    peak_memory: int = 0
    """Bytes, of the product that took most."""
    size: int = 0
    """Bytes of their files."""
    unknown: int = 0
    """Products of which nobody knows what they took."""

    def __add__(self, other: Cost) -> Cost:
        summed = {
            name: getattr(self, name) + getattr(other, name)
            for name in ("products", "seconds", "cpu_seconds", "gpu_seconds", "tokens", "size", "unknown")
        }
        return Cost(**summed, peak_memory=max(self.peak_memory, other.peak_memory))


def cost_of(manifest: Manifest) -> Cost:
    """What one product took, now or when it was made."""
    made, facts = manifest.provenance, manifest.facts
    is_known = isinstance(made.get("seconds"), int | float)
    seconds = float(made["seconds"]) if is_known else 0.0
    is_training = "steps" in facts and "training_loss" in facts
    return Cost(
        products=1,
        seconds=seconds,
        cpu_seconds=float(made.get("cpu_seconds") or 0.0),
        gpu_seconds=seconds if facts.get("device") == "cuda" else 0.0,
        tokens=int(facts.get("tokens", 0)) if is_training else 0,
        peak_memory=int(made.get("peak_memory") or 0),
        size=manifest.size,
        unknown=int(not is_known),
    )


def total(manifests: Iterable[Manifest]) -> Cost:
    """What products took together; of equal keys one."""
    return sum((cost_of(each) for each in _distinct(manifests)), Cost())


def by_step(manifests: Iterable[Manifest]) -> dict[str, Cost]:
    """Step -> what its products took, those that took longest first."""
    costs: dict[str, Cost] = {}
    for manifest in _distinct(manifests):
        costs[manifest.step] = costs.get(manifest.step, Cost()) + cost_of(manifest)
    return dict(sorted(costs.items(), key=lambda item: (-item[1].seconds, item[0])))


def _distinct(manifests: Iterable[Manifest]) -> list[Manifest]:
    return list({manifest.key: manifest for manifest in manifests}.values())


# -- the ledger -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunCost:
    """One run: what it made, and what it would have had to make without reuse."""

    run: str
    flow: str
    experiment: str
    when: str
    """UTC, ISO 8601; when it ended."""
    made: Mapping[str, float] = field(default_factory=dict)
    """First digits of a product's key -> the seconds that it took in this run."""
    reused: Mapping[str, float] = field(default_factory=dict)
    """The same of products that were there, with the seconds that they took when they were made."""


class Saved(NamedTuple):
    """What reuse has come to."""

    runs: int
    products: int
    """How often a product was reused."""
    seconds: float
    """What it took to make them, each as often as it was reused."""


def note_run(session: Session) -> None:
    """Write a line about a run that came to its end; a run that cannot write it is no worse for that."""
    if not session.outcomes:
        return
    made, reused = {}, {}
    for outcome in session.outcomes.values():
        key, was = outcome.manifest.key[:DIGITS], outcome.manifest.provenance.get("seconds")
        if outcome.action not in KEPT:
            made[key] = round(outcome.seconds, 2)
        elif isinstance(was, int | float):
            reused[key] = round(was, 2)
    line = RunCost(
        session.run_id, session.flow, session.experiment, datetime.now(UTC).isoformat(timespec="seconds"),
        made, reused,
    )  # fmt: skip
    _append(session.workspace.private, json.dumps(vars(line), ensure_ascii=False))


def _append(private: Path, line: str) -> None:
    """Under a lock, and behind a whole line: a kill may have left half of one."""
    with lock(private / "costs.lock"):
        file = private / LEDGER
        begin = b"" if not file.exists() or file.read_bytes()[-1:] in (b"", b"\n") else b"\n"
        with file.open("ab") as out:
            out.write(begin + line.encode() + b"\n")


def ledger(workspace: Workspace) -> list[RunCost]:
    """All runs that are known, oldest first: those of the ledger, then what MLflow's books know besides."""
    noted = list(_read(workspace.private / LEDGER))
    known = {run.run for run in noted}
    return [*(run for run in _from_books(workspace) if run.run not in known), *noted]


def _read(file: Path) -> Iterator[RunCost]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield RunCost(**json.loads(line))
        except (ValueError, TypeError):  # half a line
            continue


def _from_books(workspace: Workspace) -> Iterator[RunCost]:
    """Runs as MLflow knows them: the keys of what they reused, of which the manifests say what they took."""
    from tasks.tracking.reuse import reuse_by_run

    store = Store(workspace)
    for row in reuse_by_run(workspace.root):
        known = {key: store.remembered(key) for key in row.keys}
        took: dict[str, Any] = {
            key[:DIGITS]: made.provenance.get("seconds") for key, made in known.items() if made
        }
        reused = {key: float(seconds) for key, seconds in took.items() if isinstance(seconds, int | float)}
        yield RunCost(row.run, row.flow, row.experiment, row.when, {}, reused)


def saved(runs: Iterable[RunCost], keys: Iterable[str] | None = None) -> Saved:
    """What reuse has saved in runs, of all products or of those with the given keys."""
    wanted = None if keys is None else {key[:DIGITS] for key in keys}
    times, seconds, num_runs = 0, 0.0, 0
    for run in runs:
        took = [of for key, of in run.reused.items() if wanted is None or key in wanted]
        times, seconds, num_runs = times + len(took), seconds + sum(took), num_runs + bool(took)
    return Saved(num_runs, times, seconds)
