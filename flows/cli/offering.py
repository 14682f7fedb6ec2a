"""The process under `lm up` that offers the flows on Prefect's pages: `python -m flows.cli.offering`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flows.cli.catalog import flow_names
from flows.deployments import STARTED_BY, form_of, runnable, schedules
from tasks.engine.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from tasks.engine.deploying import Deployment

REPORT = "offered.json"
"""What is offered, for `lm up` and `lm status` to tell."""


def read_report(workspace: Workspace) -> dict[str, Any]:
    """Experiments by flow, and what is wrong with those that are left out."""
    try:
        report: dict[str, Any] = json.loads((workspace.private / "up" / REPORT).read_text())
    except (OSError, ValueError):
        return {"flows": {}, "problems": {}}
    return report


class Offer:
    """What the workspace has to offer; reads its experiments again when a file changed."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.seen: Mapping[str, Any] = {}
        self.problems: dict[str, str] = {}

    def is_changed(self) -> bool:
        return self._files() != self.seen

    def read(self) -> list[Deployment]:
        from tasks.engine.deploying import Deployment

        self.seen, self.problems = self._files(), {}
        found = []
        for flow, arrows in flow_names().items():
            experiments, problems = runnable(self.workspace, flow)
            self.problems |= problems
            if experiments:
                schema = form_of(flow, experiments).schema()
                clock = schedules(self.workspace, flow)
                entry, event = f"flows.deployments.{flow}", STARTED_BY.get(flow)
                found.append(Deployment(flow, arrows, entry, schema, clock, event))
        return found

    def tell(self, offered: Sequence[Deployment]) -> None:
        """Write down what the server has now."""
        rows = {each.flow: each.schema["properties"]["experiment"]["enum"] for each in offered}
        file = self.workspace.private / "up" / REPORT
        scratch = file.with_suffix(".new")
        scratch.write_text(json.dumps({"flows": rows, "problems": self.problems}))
        scratch.replace(file)

    def _files(self) -> dict[str, tuple[int, int]]:
        stats = {path: path.stat() for path in sorted(self.workspace.experiments.glob("*/*.yaml"))}
        return {str(path): (stat.st_mtime_ns, stat.st_size) for path, stat in stats.items()}


def main() -> None:
    """Offer all flows until SIGTERM."""
    from tasks.engine.deploying import serve

    serve(Offer(find_workspace()))


if __name__ == "__main__":
    main()
