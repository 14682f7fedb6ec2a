"""Data products as MLflow's data sets: name, our digest and address; no byte is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.data.dataset_source import DatasetSource
    from mlflow.entities import DatasetInput

DIGEST_LETTERS = 32  # MLflow takes 36 at most; the whole digest stands in the source


@dataclass(frozen=True)
class Dataset:
    """A product that a step reads."""

    name: str
    digest: str
    """The whole content digest."""
    path: str
    """Relative to the workspace, so that it stays true after a move."""
    context: str = "input"
    """What it was read for: training, validation, evaluation, ..."""


def short(digest: str) -> str:
    """A digest as MLflow can hold it: its first 32 letters."""
    return digest.removeprefix("sha256:")[:DIGEST_LETTERS]


def dataset_inputs(inputs: Sequence[Dataset]) -> list[DatasetInput]:
    """MLflow's records of the data sets, each once per name, digest and context."""
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import DatasetInput, InputTag

    records = []
    for item in dict.fromkeys(inputs):
        source: Any = product_source()
        dataset: Any = MetaDataset
        whole = dataset(source(item.path, item.digest), name=item.name, digest=short(item.digest))
        entity = whole._to_mlflow_entity()
        records.append(DatasetInput(entity, tags=[InputTag("mlflow.data.context", item.context)]))
    return records


@cache
def product_source() -> type[DatasetSource]:
    """The class of our addresses; made on first use, for its base class is MLflow's."""
    from mlflow.data.dataset_source import DatasetSource
    from mlflow.data.dataset_source_registry import register_dataset_source

    class ProductSource(DatasetSource):
        """A folder in the workspace, named by its path and content digest."""

        def __init__(self, path: str, digest: str) -> None:
            self.path = path
            self.digest = digest

        @staticmethod
        def _get_source_type() -> str:
            return "lmworks"

        @staticmethod
        def _can_resolve(raw_source: Any) -> bool:
            return False  # never guessed from a plain string, so MLflow has nothing to warn of

        @classmethod
        def _resolve(cls, raw_source: Any) -> DatasetSource:
            raise NotImplementedError("a product's source is made from its path and digest")

        def load(self) -> str:
            return self.path

        def to_dict(self) -> dict[str, Any]:
            return {"path": self.path, "digest": self.digest}

        @classmethod
        def from_dict(cls, source_dict: dict[Any, Any]) -> DatasetSource:
            return cls(source_dict["path"], source_dict["digest"])

    register_dataset_source(ProductSource)  # type: ignore[arg-type]  # MLflow's own hint is wrong
    return ProductSource
