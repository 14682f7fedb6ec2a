"""`lm reproduce`: a model once more from its record, beside the workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from flows.cli.forgetting import know_all_steps
from flows.cli.running import use_parts
from flows.cli.screen import Screen, console
from lmcore.config import SettingsError
from tasks.engine.workspace import Workspace, find_workspace
from tasks.words import count, duration

if TYPE_CHECKING:
    from tasks.engine.session import Outcome
    from tasks.lineage.graph import Node
    from tasks.reproducing.verdict import Verdict


class _Bars(Screen):
    """What goes on, and nothing of what came of it: that is told beside the record."""

    def said(self, label: str, text: str) -> None:
        """Samples, and the like."""

    def line(self, label: str, outcome: Outcome) -> Text | None:
        return None


def reproduce_command(called: str, keep: Path | None) -> None:
    """Make a model again from its record, beside the workspace; ends with code 1 if it does not come out."""
    import tempfile

    from tasks.lineage.find import find_product

    workspace, out = find_workspace(), console()
    know_all_steps()
    use_parts(workspace)
    found = find_product(workspace, called)
    root = found.trace(workspace)
    if keep and keep.exists() and any(keep.iterdir()):
        raise SettingsError(f"{keep} is not empty; name a folder that is, or one to be made")
    with tempfile.TemporaryDirectory(prefix="lm-reproduce-") as scratch:
        verdict = _reproduce(out, workspace, root, keep.absolute() if keep else Path(scratch))
    for number, sentence in enumerate(verdict.sentences):
        style = ("green" if verdict.is_reproduced else "red") if number == 0 else ""
        out.print(Text(f"{found.title}: {sentence}" if number == 0 else f"  {sentence}", style=style))
    if keep:
        out.print(Text(f"what was made lies in {keep}"))
    if not verdict.is_reproduced:
        raise typer.Exit(1)


def _reproduce(out: Console, workspace: Workspace, root: Node, scratch: Path) -> Verdict:
    from tasks.reproducing.rebuild import Product, Rebuilding
    from tasks.reproducing.verdict import judge

    def tell(product: Product) -> None:
        word = "same" if product.is_same else "OTHER"
        what = f"{product.node.step} {product.node.name}"
        how = f"  brought: {product.why}" if product.why else ""
        took = f"{duration(product.seconds):>8}"
        out.print(Text(f"  {word:<6} {what:<42} {took}  {product.manifest.digest[:12]}{how}"))

    with _Bars(out) as screen:
        rebuilding = Rebuilding(workspace, root, scratch, screen)
        out.print(f"making {count(len(rebuilding.nodes), 'product')} again, in {scratch}", style="bold")
        return judge(rebuilding.run(tell))
