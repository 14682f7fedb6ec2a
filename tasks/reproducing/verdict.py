"""What came of it in words: the same bytes; or which product differs first, why, and what it scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lmcore.lineage import Manifest
from tasks.engine.key import environment
from tasks.engine.reasons import differences, in_words
from tasks.lineage.words import entitled
from tasks.reproducing.rebuild import BROUGHT, Product, unlike
from tasks.words import count

ALIKE = 0.01
"""Scores that differ by less than this share are called alike."""
SCORES = ("bits_per_byte", "loss", "perplexity", "accuracy")
"""Ends of the names of facts that are scores; of each product's own measuring while it was made."""


@dataclass(frozen=True)
class Verdict:
    """How it ended."""

    word: str
    """`same bytes`, `like scores` or `other`."""
    sentences: tuple[str, ...]

    @property
    def is_reproduced(self) -> bool:
        return self.word != "other"


def judge(products: Sequence[Product]) -> Verdict:
    """The verdict on a model, which is the last of the products."""
    others, brought = unlike(products), [each for each in products if each.how == BROUGHT]
    told = [
        f"{entitled(each.node)} was not made again but brought from a copy: {each.why}" for each in brought
    ]
    changed = [f"code: {in_words(code)}" for each in products if (code := _code(each))]
    if not others:
        made = count(len(products) - len(brought), "product")
        if changed:
            told.append(
                f"code has changed since, and makes the same of it ({'; '.join(dict.fromkeys(changed))})"
            )
        return Verdict("same bytes", (f"same bytes: {made} made again, each as it was", *told))
    first, model = others[0], products[-1]
    told.insert(0, f"other bytes, from {entitled(first.node)} on ({_short(first)})")
    told += _reasons(first)
    scores = _scores(model)
    told += [f"{name.replace('_', ' ')}: {was:.4f} then, {now:.4f} now" for name, was, now in scores]
    is_alike = bool(scores) and all(math.isclose(was, now, rel_tol=ALIKE) for _, was, now in scores)
    if _environment(first) and not _code(first) and is_alike:
        return Verdict("like scores", (*told, f"it scores alike, within {ALIKE:.0%}"))
    return Verdict("other", tuple(told))


def _short(product: Product) -> str:
    return f"{product.node.digest[:12]} then, {product.manifest.digest[:12]} now"


def _reasons(product: Product) -> list[str]:
    """Why it may have come out otherwise, and what to do about it."""
    recorded, told = product.node.manifest, []
    assert recorded
    if code := _code(product):
        told.append(f"its code has changed since: {in_words(code)}{_checkout(recorded)}")
    if drift := _environment(product):
        told.append(f"{drift}: the last bits of sums may differ, the scores hardly")
    if not told:
        told.append("code, processor and libraries are those of then, so its step is not deterministic")
    return told


def _checkout(manifest: Manifest) -> str:
    git = manifest.provenance.get("git")
    if not git:
        return "; the commit that it was made at is not known"
    dirty = ", which had changes that were not committed" if git["dirty"] else ""
    return f"; check out commit {git['commit']}{dirty}, and reproduce it there"


def _code(product: Product) -> list[str]:
    """Definitions that changed since; accepted ones count as the same."""
    was, now = (each.key_document for each in (product.node.manifest or product.manifest, product.manifest))
    names = ("code", "fingerprint")
    found = differences(*({name: each[name] for name in names if name in each} for each in (was, now)))
    return [line.removeprefix("code: ") for line in found]


def _environment(product: Product) -> str:
    """What of processor and libraries is another one now."""
    assert product.node.manifest
    now = environment()
    return "; ".join(
        f"made with {name} {was}, now {now[name]}"
        for name, was in product.node.manifest.environment.items()
        if name in now and name != "python" and now[name] != was
    )


def _scores(product: Product) -> list[tuple[str, float, float]]:
    """(name, then, now) of what a model's own training measured."""
    was, now = product.node.manifest.facts if product.node.manifest else {}, product.manifest.facts
    return [
        (name, float(was[name]), float(now[name]))
        for name in sorted(was.keys() & now.keys())
        if name.endswith(SCORES) and isinstance(was[name], int | float) and name.startswith("validation")
    ]
