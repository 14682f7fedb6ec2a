"""How models are merged."""

from __future__ import annotations

from typing import Any, ClassVar

from lmcore.config import Config
from lmcore.merge.methods import methods
from lmcore.registry import Part, Registry


class MethodPart(Part):
    """How the weights of several models become one."""

    registry: ClassVar[Registry[Any]] = methods


class MergeConfig(Config):
    """What is done with the weights of the parents; which models they are is said elsewhere."""

    method: MethodPart
    """A name such as `linear`, or a name with its dials such as `{type: ties, density: 0.3}`."""
