"""From raw files to token shards in one flow: the time of each step, and memory over all processes.

    apt-get download linux-doc-6.1 python3.11-doc postgresql-doc-15 rust-doc ...
    for package in *.deb; do dpkg-deb -x $package FILES/${package%%_*}; done
    python bench/corpus.py FILES WORKSPACE [--spill-at MEGABYTES]

FILES holds a folder for each package, from which HTML, text, reStructuredText and Perl's pod are read;
WORKSPACE is made. `--spill-at` lets pre-token counts hold so much memory before they spill. To limit the
whole, Prefect's server included, start this in a memory cgroup.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

READERS = {"html": ["**/*.html"], "text": ["**/*.txt", "**/*.txt.gz", "**/*.rst.gz", "**/*.pod"]}
NAME = "packages"


def sources(files: Path) -> Iterator[dict[str, Any]]:
    """One for each package and kind of file in it."""
    for folder in sorted(each for each in files.iterdir() if each.is_dir()):
        for reader, patterns in READERS.items():
            if any(path.is_file() for pattern in patterns for path in folder.glob(pattern)):
                name = f"{folder.name}-{reader}".replace("+", "p")
                yield {
                    "name": name, "path": str(folder), "files": patterns, "reader": reader,
                    "licence": "as its copyright file says",
                }  # fmt: skip


def write_experiment(workspace: Path, files: Path, spill_at: float | None) -> None:
    tokenizer: dict[str, Any] = {"vocab_size": 32_768}
    if spill_at:
        tokenizer["memory_bytes"] = int(spill_at * 1e6)
    settings = {
        "sources": list(sources(files.resolve())),
        "cleaners": ["mojibake", "personal_data"],
        "filters": ["length", "gopher_repetition", "gopher_quality", "language"],
        "tokenizer": tokenizer,
    }
    folder = workspace / "experiments" / "write_shards"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = thread.read_text().split()
        except OSError:  # it ended meanwhile
            continue
        for child in children:
            yield from tree(int(child))


def memory(pid: int) -> int:
    """Bytes in memory; what processes share is counted once (PSS)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main(files: Path, workspace: Path, spill_at: float | None) -> None:
    lm = [str(Path(sys.executable).with_name("lm"))]
    subprocess.run([*lm, "init", str(workspace)], check=True)
    write_experiment(workspace, files, spill_at)
    began, peak = time.monotonic(), 0
    with subprocess.Popen([*lm, "write_shards", NAME], cwd=workspace) as run:
        while run.poll() is None:
            peak = max(peak, sum(map(memory, tree(run.pid))))
            time.sleep(0.5)
    took = time.monotonic() - began
    if run.returncode:
        raise SystemExit(run.returncode)
    subprocess.run([*lm, "cost", NAME], cwd=workspace, check=True)
    print(f"{took / 60:.1f} min in all; {peak / 1e9:.2f} GB at the peak, Prefect's server included")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("files", type=Path)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--spill-at", type=float)
    options = parser.parse_args()
    main(options.files, options.workspace, options.spill_at)
