"""The card as Markdown, section by section; what is not known is said to be not known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from tasks.card.facts import CardFacts
from tasks.card.front_matter import front_matter
from tasks.card.limits import limits
from tasks.card.markdown import cell
from tasks.card.scores import ALL_DOCUMENTS, BITS, TEST_SIDE, Score
from tasks.words import count, duration, size

HIGHER, LOWER = "more is better", "less is better"
MOST_OTHERS, MOST_MAIN = 12, 3
SIDES = ("train", "validation", "test")


def card(facts: CardFacts) -> str:
    """The whole card, with the part for programs."""
    return f"{front_matter(facts)}\n{body(facts)}"


def body(facts: CardFacts) -> str:
    """What people read of it."""
    parts = (
        _what(facts), _purpose(facts), _data(facts), _training(facts), _scores(facts), _verdict(facts),
        _cost(facts), _use(facts), _origin(facts),
    )  # fmt: skip
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def summary(facts: CardFacts) -> str:
    """The card in a few lines, for the top of a page."""
    told = [lead(facts)]
    if best := _main(facts):
        told.append(f"On the test side: {', '.join(map(_spelt, best))} ({_sense(best[0])}).")
    took, processor = duration(facts.cost.seconds), duration(facts.cost.cpu_seconds)
    return " ".join([*told, f"To make it took {took}, {processor} of processor time."])


def lead(facts: CardFacts) -> str:
    """What it is, in one sentence."""
    parameters = facts.made.get("parameters")
    of = f" of {parameters:,} parameters" if isinstance(parameters, int) else ""
    does = "answers questions" if facts.is_chat else "continues a text"
    documents = facts.fact("split_corpus", "train_documents")
    conversations = facts.fact("finetune_model", "conversations")
    kinds = (("document", documents), ("conversation", conversations))
    shown = [count(number, kind) for kind, number in kinds if isinstance(number, int)]
    learned = f"learned from {' and '.join(shown)} of" if shown else "was made from"
    return f"A language model{of} that {does}. It {learned} {count(len(facts.sources), 'source')}."


def _what(facts: CardFacts) -> Iterator[str]:
    yield f"# {facts.title}"
    yield ""
    yield lead(facts)
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in _model_rows(facts):
        yield f"| {name} | {value} |"


def _model_rows(facts: CardFacts) -> Iterator[tuple[str, str]]:
    config, made = facts.config, facts.root.manifest
    if config.get("architectures"):
        layers, width = config.get("num_hidden_layers", 0), config.get("hidden_size")
        yield "architecture", f"{cell(config['architectures'][0])}, {count(layers, 'layer')} of width {width}"
    if "max_position_embeddings" in config:
        yield "looks back at", f"{config['max_position_embeddings']:,} tokens at most"
    if "vocab_size" in config:
        yield "vocabulary", f"{config['vocab_size']:,} tokens (byte-level BPE)"
    if made and made.provenance.get("finished"):
        yield "made", f"{made.provenance['finished'][:10]} by `{made.step}`"
    if facts.measured and facts.measured.chosen:
        yield "chosen", f"`{cell(facts.measured.chosen)}`: {cell(facts.measured.why)}"
    yield "digest", f"`{facts.digest}`"


def _purpose(facts: CardFacts) -> Iterator[str]:
    yield "## What it is for, and what not"
    yield ""
    what = "answers questions of the kind that it was taught" if facts.is_chat else "goes on from a beginning"
    yield (
        f"It {what}, in the manner of the texts below. Nobody has recorded another intended use. It was "
        "measured on held-out text of the same sources alone, so nothing is known of how it does on others."
    )
    yield ""
    for sentence in limits(facts):
        yield f"- {sentence}"


def _data(facts: CardFacts) -> Iterator[str]:
    yield "## Data"
    yield ""
    yield "Licences are what the owner of the workspace has written down of each source."
    yield ""
    yield "| source | licence | files | size |"
    yield "|---|---|---:|---:|"
    for source in facts.sources:
        licence = cell(source.licence) or "**nothing stated**"
        total = size(source.size) if source.size else "–"
        yield f"| {cell(source.name)} | {licence} | {len(source.files):,} | {total} |"
    yield ""
    yield from _sides(facts)
    deciding = ("filter_documents", "deduplicate_documents")
    refused, removed = (facts.fact(step, "rejected") for step in deciding)
    if refused is not None and removed is not None:
        yield f"Documents refused by filters: {refused:,}; copies and near copies removed: {removed:,}."
    if facts.gaps:
        names = ", ".join(f"`{cell(gap.address)}`" for gap in facts.gaps)
        yield f"\n**Incomplete**: of {names} no record is left, so there may be sources that are not listed."


def _sides(facts: CardFacts) -> Iterator[str]:
    numbers = [facts.fact("split_corpus", f"{side}_documents") for side in SIDES]
    if None not in numbers:
        train, chosen, test = numbers
        yield (
            f"It learned from {count(train, 'document')}; {chosen:,} chose among states and candidates, and "
            f"{test:,} were kept for the test alone. Near copies share a side."
        )
    taught = facts.fact("finetune_model", "conversations")
    numbers = [facts.fact("write_conversations", f"{side}_conversations") for side in SIDES]
    if taught is not None and None not in numbers:
        train, chosen, test = numbers
        of = f" of {train:,}, those that fit into what it looks back at" if taught != train else ""
        yield (
            f"It was taught by {count(taught, 'conversation')}{of}; {chosen:,} were there to choose by, and "
            f"{test:,} for the test alone."
        )


def _training(facts: CardFacts) -> Iterator[str]:
    yield "## Training"
    yield ""
    yield "| made by | tokens | steps | on | took |"
    yield "|---|---:|---:|---|---:|"
    for made in facts.manifests("pretrain_model", "continue_training", "finetune_model", "merge_models"):
        told, took = made.facts, made.provenance.get("seconds")
        tokens, steps = (f"{told[name]:,}" if name in told else "–" for name in ("tokens", "steps"))
        where = f"{told['device']}, {told['precision']}" if {"device", "precision"} <= told.keys() else "–"
        time = duration(took) if took else "–"
        yield f"| {cell(made.step)} {cell(made.name)} | {tokens} | {steps} | {where} | {time} |"
    libraries = facts.root.manifest.environment if facts.root.manifest else {}
    if libraries:
        yield ""
        yield (
            "With "
            + ", ".join(f"{name} {version}" for name, version in libraries.items() if name != "cpu")
            + "."
        )


def _scores(facts: CardFacts) -> Iterator[str]:
    yield "## How good it is"
    yield ""
    if facts.measured is None or not facts.measured.scores:
        yield "**It was not measured**: no report of a test is left."
        return
    yield "On the test side, which it has not learned from and was not chosen by:"
    yield ""
    yield "| on | measure | value | 95 % interval | of |"
    yield "|---|---|---:|---:|---:|"
    for score in facts.measured.scores:
        what = f"{cell(score.on)} | {cell(score.metric)}, {_sense(score)}"
        yield f"| {what} | {score.value:.4g} | {_bounds(score)} | {_of(score)} |"
    if any(score.metric == BITS for score in facts.measured.scores):
        yield ""
        yield "Bits per byte: how surprised it is by each byte of a text; 8 knows nothing, less is better."
    for metric, group in groupby(facts.measured.others, key=lambda each: each.metric):
        others = [f"{cell(each.on)} {each.value:.4g}" for each in group]
        more = f" and {len(others) - MOST_OTHERS} more" if len(others) > MOST_OTHERS else ""
        yield ""
        yield f"Beside it were tested ({cell(metric)}): {', '.join(others[:MOST_OTHERS])}{more}."
    if facts.measured.interval:
        yield ""
        covered = cell(facts.measured.interval)
        yield f"Intervals: {covered}. It was trained once; another seed may differ by more."


def _verdict(facts: CardFacts) -> Iterator[str]:
    yield "## Whether it was let serve"
    yield ""
    verdict = facts.verdict
    if verdict is None:
        yield "The gate has not judged it."
        return
    beside = f" beside v{verdict.champion}" if verdict.champion else ""
    yield f"The gate judged it{beside} on {verdict.when[:10]}: **{verdict.word}**."
    yield ""
    yield f"> {cell(verdict.sentence)}"
    yield ""
    if verdict.is_kept:
        yield f"All numbers: `verdict.html` among its artifacts, and `{cell(verdict.address)}`."
    else:
        yield "The report with its numbers is not here any more."


def _cost(facts: CardFacts) -> Iterator[str]:
    cost = facts.cost
    yield "## What it cost"
    yield ""
    gpu = duration(cost.gpu_seconds) if cost.gpu_seconds else "none"
    yield (
        f"{count(cost.products, 'step')} took {duration(cost.seconds)}, one after the other: "
        f"{duration(cost.cpu_seconds)} of processor time, GPU time: {gpu}; {cost.tokens:,} tokens learned "
        f"from; {size(cost.peak_memory)} of memory at the peak; {size(cost.size)} on disk."
    )
    if cost.unknown:
        yield f"Of {count(cost.unknown, 'step')} it is not known what they took: they were made elsewhere."
    yield f"Energy was not measured. Step by step: `lm cost {facts.name}@v{facts.version}`."


def _use(facts: CardFacts) -> Iterator[str]:
    chat = ', params={"chat": True}' if facts.is_chat else ""
    yield "## How to use it"
    yield ""
    yield "```python"
    yield "import mlflow"
    yield ""
    yield f'model = mlflow.pyfunc.load_model("models:/{facts.name}/{facts.version}")'
    yield f'model.predict(["{"Who are you?" if facts.is_chat else "The"}"]{chat})'
    yield "```"
    yield ""
    yield "Its folder also loads with `transformers`. Weights are safetensors; nothing is unpickled."


def _origin(facts: CardFacts) -> Iterator[str]:
    called = f"{facts.name}@v{facts.version}"
    yield "## Where it comes from"
    yield ""
    yield (
        "`lineage.html` among its artifacts shows every step and source file with its SHA-256; "
        f"`lm lineage {called}` says the same in a terminal. This card was written from those records: "
        f"`lm card {called}`."
    )


def _sense(score: Score) -> str:
    words = ("bits", "perplexity", "loss")
    return LOWER if any(word in score.metric for word in words) else HIGHER


def _main(facts: CardFacts) -> list[Score]:
    """The score of each part of the test by which models are compared, or just the first."""
    scores = facts.measured.scores if facts.measured else []
    return [score for score in scores if score.is_main][:MOST_MAIN] or scores[:1]


def _spelt(score: Score) -> str:
    bounds = f" (95 % {_bounds(score)})" if score.low is not None else ""
    on = "" if score.on in (ALL_DOCUMENTS, TEST_SIDE) else f" on {cell(score.on)}"
    return f"{score.value:.4g}{bounds} {cell(score.metric)}{on}"


def _bounds(score: Score) -> str:
    return "–" if score.low is None or score.high is None else f"{score.low:.4g} to {score.high:.4g}"


def _of(score: Score) -> str:
    return "–" if score.number is None else f"{score.number:,}"
