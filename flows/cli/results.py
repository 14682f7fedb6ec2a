"""The end of a run on the screen: scores, what was chosen, what it cost, and what to open next."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from rich.console import Console

from flows.cli.releases import aliases_now
from flows.cli.scores import show_comparison, show_exam, show_scores, show_sweep
from lmcore.lineage import Manifest
from tasks.engine.reach import REGISTRATION
from tasks.engine.run import Result
from tasks.engine.workspace import Workspace
from tasks.words import duration, mixture, size

Products = Mapping[str, Manifest]
"""Manifests by label, in the order of the plan."""
TABLES = {
    "evaluate_model": ("scores.json", show_scores),
    "compare_models": ("comparison.json", show_comparison),
    "examine_models": ("exam.json", show_exam),
    "compare_variants": ("sweep.json", show_sweep),
}
"""Step -> the file of its report, and how that looks."""
TEST = "-test"


def show_results(out: Console, workspace: Workspace, result: Result, seconds: float) -> None:
    """What the products of a run say; a sweep speaks of its variants side by side and not of each."""
    store = result.session.store
    found = {line.label: store.last(*line.label.split(" ", 1)) for line in result.lines}
    products = {label: manifest for label, manifest in found.items() if manifest}
    is_sweep = any(_of(products, "compare_variants"))
    for corpus in () if is_sweep else _of(products, "split_corpus"):
        _corpus(out, corpus)
    for written in () if is_sweep else _of(products, "write_conversations"):
        _conversations(out, written)
    for trained in () if is_sweep else _of(products, "pretrain_model"):
        _training(out, workspace, trained)
    for step, (file, show) in TABLES.items():
        if step == "compare_variants" or not is_sweep:
            for report in _last_word(products, step):
                show(out, json.loads((_folder(workspace, report) / file).read_text()))
    out.print()
    for choice in () if is_sweep else _of(products, "choose_model"):
        out.print(f"chosen: {choice.facts['sentence']}")
    for verdict in () if is_sweep else _of(products, "judge_challenger"):
        out.print(f"{_sides(workspace, verdict)}: {verdict.facts['sentence']}")
    # The verdict may be an old one, and aliases have moved since.
    for released in () if is_sweep else _of(products, "promote_challenger"):
        model = str(released.facts["model"])
        out.print(f"{model} now: {aliases_now(workspace.root, model)}", style="bold")
    for looked in () if is_sweep else _of(products, "compare_data"):
        out.print(str(looked.facts["sentence"]))
    total = size(sum(manifest.size for manifest in products.values()))
    out.print(f"done in {duration(seconds)}; {len(products)} products, {total}", style="bold")
    _next(out, workspace, result, products)


def _of(products: Products, step: str) -> Iterator[Manifest]:
    return (manifest for label, manifest in products.items() if label.partition(" ")[0] == step)


def _last_word(products: Products, step: str) -> list[Manifest]:
    """The reports on the test side where there are any; those that a choice was made by stand in the page."""
    found = list(_of(products, step))
    return [report for report in found if report.name.endswith(TEST)] or found


def _folder(workspace: Workspace, manifest: Manifest) -> Any:
    home = "models" if manifest.step == "pretrain_model" else "reports"
    return workspace.path(home) / f"{manifest.step}-{manifest.key[:12]}"


def _corpus(out: Console, manifest: Manifest) -> None:
    facts = manifest.facts
    sides = ", ".join(f"{facts[f'{side}_documents']:,} {side}" for side in ("train", "validation", "test"))
    place = f", with the reason in data/corpora/{manifest.name}/rejected.parquet" if facts["rejected"] else ""
    out.print(f"corpus: {sides} documents; {facts['rejected']:,} rejected{place}", style="dim")


def _conversations(out: Console, manifest: Manifest) -> None:
    told = ", ".join(
        f"{manifest.facts[f'{side}_conversations']:,} {side}" for side in ("train", "validation", "test")
    )
    out.print(f"conversations: {told}", style="dim")


def _training(out: Console, workspace: Workspace, manifest: Manifest) -> None:
    """What the clock said of each optimizer step, also of those before an interruption."""
    file = _folder(workspace, manifest) / "log" / "timings.jsonl"
    took = sum(json.loads(line)["seconds"] for line in file.read_text().splitlines()) if file.is_file() else 0
    facts = manifest.facts
    told = f"{facts['parameters']:,} parameters, trained on {facts['tokens']:,} tokens"
    sources = mixture(facts)
    out.print(
        told + (f" in {duration(took)}" if took else "") + (f"; {sources}" if sources else ""), style="dim"
    )


def _called(workspace: Workspace, manifest: Manifest) -> str:
    """What the model of a registration is found by now: `demo@champion`, `demo@challenger`, `demo@v3`."""
    from tasks.tracking.versions import best_name

    name = str(manifest.facts["registered_as"])
    entry = json.loads((_folder(workspace, manifest) / REGISTRATION).read_text())
    return best_name(workspace.root, name, entry["digest"]) or f"{name}@{manifest.facts['alias']}"


def _sides(workspace: Workspace, verdict: Manifest) -> str:
    """Who was judged: `letters v3 beside v2`."""
    from tasks.tracking.versions import numbers_of

    told = json.loads((_folder(workspace, verdict) / "verdict.json").read_text(encoding="utf-8"))
    model, champion = told["model"], told["champion"]
    numbers = {digest: number for number, digest in numbers_of(workspace.root, model).items()}
    number = numbers.get(told["challenger"]["digest"])
    challenger = f"{model} v{number}" if number else f"{model} {told['challenger']['digest'][:12]}"
    return f"{challenger} beside v{champion['version']}" if champion else challenger


def _next(out: Console, workspace: Workspace, result: Result, products: Products) -> None:
    """Commands that go on from here."""
    rows = []
    for manifest in _of(products, "register_model"):
        settings = manifest.key_document["settings"]["settings"]
        called = _called(workspace, manifest)
        how = " --chat" if settings["is_chat"] else ""
        prompt = str(settings["example_prompt"]).replace("\n", " ")
        rows.append(
            (f'lm generate {called}{how} --prompt "{prompt}"', f"{manifest.facts['chosen']}, registered")
        )
        rows.append((f"lm lineage {called}", "every file that it was made from"))
    for manifest in _of(products, "promote_challenger"):
        model = manifest.facts["model"]
        rows.append((f"lm history {model}", "who moved its aliases, when and why; lm rollback goes back"))
    for manifest in _of(products, "judge_challenger"):
        from tasks.report.verdict import PAGE, written_verdict

        with suppress(OSError, ValueError):  # its numbers may be gone
            written_verdict(workspace.root, _folder(workspace, manifest))
            page = f"reports/{manifest.name}/judge_challenger/{PAGE}"
            rows.append((page, f"why {manifest.facts['word']}, on one page"))
    page = f"reports/{result.session.experiment}/report.html"
    if workspace.path(page).exists():
        rows.append((page, "all of this run on one page"))
    if rows:
        rows.append(("lm up", "runs, models and plots in your browser"))
        width = max(len(command) for command, _ in rows)
        out.print()
        for command, purpose in rows:
            out.print(f"  {command:<{width}}   {purpose}")
