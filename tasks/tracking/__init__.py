"""The only door to MLflow: what happened, and which model.

store.py      the workspace's database and artifacts: made once, safe at first use, movable
run.py        what all runs log: parameters, metrics, inputs, artifacts, an honest end
runs.py       FlowRun -> StepRun: one parent for a flow run, one child for a step that was done
datasets.py   products as data sets, by digest
registry.py   register; a version loads anywhere with mlflow.pyfunc
numbering.py  a version's number, which always means the same bytes
journal.py    releases/<model>.jsonl: looks, verdicts, moves of aliases; append-only
standing.py   what the lines of a journal come to: who is champion, and who was before
registrar.py  one model's aliases: finishes what was begun, notes what hands have moved, then moves
moves.py      promote, rollback, finish: no kill leaves a wrong alias
versions.py   looking up versions and models by name, alias or product, without importing MLflow
processes.py  close_orphans: no run stays RUNNING after its process
figures.py    curves and scores as pictures
names.py      what MLflow takes as a name
"""

from tasks.tracking.datasets import Dataset
from tasks.tracking.journal import Journal
from tasks.tracking.moves import Overtaken, finish, promote, rollback
from tasks.tracking.processes import close_orphans
from tasks.tracking.registry import register, set_alias
from tasks.tracking.run import Run, Status
from tasks.tracking.runs import FlowRun, StepRun
from tasks.tracking.store import TrackingError, open_store, relocate, tracking_uri
from tasks.tracking.versions import Registered, find_copy, find_model, registered, versions

__all__ = [
    "Dataset",
    "FlowRun",
    "Journal",
    "Overtaken",
    "Registered",
    "Run",
    "Status",
    "StepRun",
    "TrackingError",
    "close_orphans",
    "find_copy",
    "find_model",
    "finish",
    "open_store",
    "promote",
    "register",
    "registered",
    "relocate",
    "rollback",
    "set_alias",
    "tracking_uri",
    "versions",
]
