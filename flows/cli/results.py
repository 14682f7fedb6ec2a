"""What a run came to: a table of scores, what it cost, and what to open next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lmcore.lineage import Manifest
from tasks.artifacts import Registration
from tasks.engine.run import Result
from tasks.engine.workspace import Workspace
from tasks.words import duration, size

SWEEP_COLUMNS = ("parameters", "tokens", "steps", "training_loss", "documents")
SEEDS_FOR_A_CLAIM = 3


def show_results(out: Console, workspace: Workspace, result: Result, seconds: float) -> None:
    """The end of a run on the screen."""
    store = result.session.store
    labels = [line.label for line in result.lines]
    products = {label: store.last(*label.split(" ", 1)) for label in labels}
    manifests = {label.partition(" ")[0]: manifest for label, manifest in products.items()}
    made = [manifest.size for manifest in products.values() if manifest]
    done = f"done in {duration(seconds)}; {len(made)} products, {size(sum(made))}"
    if sweep := manifests.get("compare_variants"):
        _sweep(out, _load(workspace, "reports", sweep, "sweep.json"))
        out.print(done, style="bold")
        return
    if corpus := manifests.get("split_corpus"):
        _corpus(out, corpus)
    report = manifests.get("evaluate_model")
    if report:
        _scores(out, _load(workspace, "reports", report, "scores.json"))
    trained = manifests.get("pretrain_model")
    if trained:
        _training(out, trained, _load_lines(workspace, trained))
    out.print(done, style="bold")
    if isinstance(result.answer, Registration):
        _next(out, manifests["register_model"])


def _load(workspace: Workspace, home: str, manifest: Manifest, file: str) -> dict[str, Any]:
    folder: Path = workspace.path(home) / f"{manifest.step}-{manifest.key[:12]}"
    loaded: dict[str, Any] = json.loads((folder / file).read_text())
    return loaded


def _scores(out: Console, scores: Mapping[str, Any]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", title_justify="left")
    for column in (
        "held-out text",
        "documents",
        "bits per byte (95 % over documents)",
        "unigram",
        "perplexity",
    ):
        table.add_column(column, justify="left" if column == "held-out text" else "right")
    for name, group in [("all", scores), *sorted(scores["sources"].items())]:
        table.add_row(
            name,
            f"{group['documents']}",
            _interval(group["model"]["bits_per_byte"], 3),
            f"{group['unigram']['bits_per_byte']['value']:.3f}",
            f"{group['model']['perplexity']['value']:.1f}",
        )
    out.print()
    out.print(table)


def _sweep(out: Console, sweep: Mapping[str, Any]) -> None:
    """A row per variant, the best first, and what that says of the settings beside their seeds."""
    rows, metric = list(sweep["rows"]), sweep["metric"]
    if metric:
        rows.sort(key=lambda row: row[metric], reverse=sweep["better"] == "higher")
    columns = [name for name in dict.fromkeys([metric, *SWEEP_COLUMNS]) if name in sweep["columns"]]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for title in (*rows[0]["dials"], *columns, "product"):
        table.add_column(title.replace("_", " "), overflow="fold")
    for row in rows:
        numbers = [
            f"{row[column]:,.4g}" if isinstance(row[column], float) else f"{row[column]:,}"
            for column in columns
        ]
        table.add_row(*row["dials"].values(), *numbers, row["product"])
    out.print()
    out.print(table)
    recipes = sweep.get("recipes", [])
    if metric and len(recipes) > 1:
        best = (min if sweep["better"] == "lower" else max)(recipes, key=lambda recipe: recipe["mean"])
        told = " ".join(f"{path}={value}" for path, value in best["dials"].items())
        seeds = f"{best['seeds']} seed{'s' if best['seeds'] > 1 else ''}"
        caution = (
            ""
            if best["seeds"] >= SEEDS_FOR_A_CLAIM
            else (f"; fewer than {SEEDS_FOR_A_CLAIM} seeds each cannot tell such a difference from chance")
        )
        out.print(f"best {metric.replace('_', ' ')}: {told}, {best['mean']:.4f} over {seeds}{caution}")


def _corpus(out: Console, manifest: Manifest) -> None:
    facts = manifest.facts
    sides = ", ".join(f"{facts[f'{side}_documents']:,} {side}" for side in ("train", "validation", "test"))
    place = f"data/corpora/{manifest.name}/rejected.parquet"
    out.print(
        f"corpus: {sides} documents; {facts['rejected']:,} rejected, with the reason in {place}", style="dim"
    )


def _interval(entry: Mapping[str, Any], digits: int) -> str:
    text = f"{entry['value']:.{digits}f}"
    if entry.get("low") is None:
        return text
    return f"{text} ({entry['low']:.{digits}f} to {entry['high']:.{digits}f})"


def _load_lines(workspace: Workspace, manifest: Manifest) -> list[dict[str, Any]]:
    """What the clock said of each optimizer step, also of those before an interruption."""
    file = workspace.path("models") / f"{manifest.step}-{manifest.key[:12]}" / "log" / "timings.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def _training(out: Console, manifest: Manifest, steps: list[dict[str, Any]]) -> None:
    facts = manifest.facts
    tokens, parameters = facts.get("tokens"), facts.get("parameters")
    if isinstance(tokens, int) and isinstance(parameters, int):
        took = f" in {duration(sum(step['seconds'] for step in steps))}" if steps else ""
        out.print(f"{parameters:,} parameters, trained on {tokens:,} tokens{took}", style="dim")


def _next(out: Console, manifest: Manifest | None) -> None:
    assert manifest
    name, alias = manifest.facts["registered_as"], manifest.facts["alias"]
    prompt = manifest.key_document["settings"]["settings"]["example_prompt"]
    rows = (
        (f'lm generate {name}@{alias} --prompt "{prompt}"', "let it write"),
        (f"lm lineage {name}@{alias}", "every file that it was made from"),
        ("lm up", "runs, models and plots in your browser"),
    )
    width = max(len(command) for command, _ in rows)
    out.print()
    for command, purpose in rows:
        out.print(f"  {command:<{width}}   {purpose}")
