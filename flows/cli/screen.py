"""What a run looks like in a terminal: bars for what goes on, one lasting line for what is done."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from tasks.engine.session import Outcome
from tasks.words import duration, size

QUIET_SECONDS = 10.0
"""Without a terminal to draw on, a line about progress every so often."""
WIDE = 110
"""Columns from which there is room for a bar beside the figures."""
STYLES = {"reused": "green", "restored": "cyan", "built": "bold", "rebuilt": "bold"}


def console() -> Console:
    """A terminal, or a file that lines are not broken in."""
    is_terminal = sys.stdout.isatty()
    return Console(highlight=False, soft_wrap=not is_terminal, width=None if is_terminal else 160)


class Screen:
    """A listener that draws. Use as a context around a run; safe to tell from several threads."""

    def __init__(self, out: Console) -> None:
        self.out = out
        self._bars: dict[str, TaskID] = {}
        self._told: dict[str, float] = {}
        self._first: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("  [bold]{task.description}"),
            *([BarColumn(bar_width=20)] if out.width >= WIDE else []),
            TextColumn("{task.fields[count]}"),
            _Remaining(),
            TextColumn("{task.fields[figures]}"),
            console=out,
            transient=True,
            disable=not out.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def started(self, label: str) -> None:
        with self._lock:
            self._bars[label] = self._progress.add_task(label, total=None, figures="", count="")
            self._told[label] = time.monotonic()

    def progressed(self, label: str, figures: Mapping[str, Any]) -> None:
        done, total = figures["done"], figures["total"]
        shown = "  ".join(
            f"{name} {value}".strip() for name, value in figures.items() if name not in ("done", "total")
        )
        count, now = f"{done:,}/{total:,}", time.monotonic()
        with self._lock:
            first = self._first.setdefault(label, (done, now))
            if label in self._bars:
                self._progress.update(
                    self._bars[label], completed=done, total=total, count=count, figures=shown
                )
            if not self.out.is_terminal and now - self._told.get(label, 0) > QUIET_SECONDS:
                self._told[label] = now
                told = [label, count, _left(first, (done, now), total), shown]
                self.out.print("  ... " + "  ".join(filter(None, told)))

    def said(self, label: str, text: str) -> None:
        self.out.print(Text(f"    {text}", style="dim"))

    def finished(self, label: str, outcome: Outcome) -> None:
        with self._lock:
            if label in self._bars:
                self._progress.remove_task(self._bars.pop(label))
        if line := self.line(label, outcome):
            self.out.print(line)

    def line(self, label: str, outcome: Outcome) -> Text | None:
        """What stays on the screen of a call that is done."""
        return _line(label, outcome)


def _left(first: tuple[int, float], last: tuple[int, float], total: int) -> str:
    """`about 12 s left`, by what was done since the first word of it: start and earlier runs do not count."""
    done, seconds = last[0] - first[0], last[1] - first[1]
    return f"about {duration(seconds / done * (total - last[0]))} left" if done > 0 else ""


def _line(label: str, outcome: Outcome) -> Text:
    manifest = outcome.manifest
    text = Text("  ")
    text.append(f"{outcome.action:<9}", STYLES[outcome.action])
    text.append(f"{label:<40}")
    cost = duration(outcome.seconds) if outcome.action in ("built", "rebuilt") else "proved intact"
    text.append(f"{cost:>14}  {size(manifest.size):>8}  {manifest.digest[:12]}", "dim")
    if outcome.why:
        text.append(f"  {outcome.why}", "dim")
    return text


class _Remaining(ProgressColumn):
    """`about 2 min 5 s left`, once there is something to judge by."""

    def render(self, task: Task) -> Text:
        if task.finished or task.time_remaining is None:
            return Text("")
        return Text(f"{duration(task.time_remaining)} left", "dim")
