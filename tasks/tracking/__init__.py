"""The only door to MLflow: what happened, and which model.

store.py      the workspace's database and artifacts: made once, safe at first use, movable
run.py        what all runs log: parameters, metrics, inputs, artifacts, an honest end
runs.py       FlowRun -> StepRun: one parent for a flow run, one child for a step that was done
datasets.py   products as data sets, by digest
registry.py   register, aliases; a version loads anywhere with mlflow.pyfunc
versions.py   looking up versions and models by name, alias or product, without importing MLflow
processes.py  close_orphans: no run stays RUNNING after its process
figures.py    curves and scores as pictures
names.py      what MLflow takes as a name
"""

from tasks.tracking.datasets import Dataset
from tasks.tracking.processes import close_orphans
from tasks.tracking.registry import register, set_alias
from tasks.tracking.run import Run, Status
from tasks.tracking.runs import FlowRun, StepRun
from tasks.tracking.store import TrackingError, open_store, relocate, tracking_uri
from tasks.tracking.versions import Registered, find_copy, find_model, registered, versions

__all__ = [
    "Dataset",
    "FlowRun",
    "Registered",
    "Run",
    "Status",
    "StepRun",
    "TrackingError",
    "close_orphans",
    "find_copy",
    "find_model",
    "open_store",
    "register",
    "registered",
    "relocate",
    "set_alias",
    "tracking_uri",
    "versions",
]
