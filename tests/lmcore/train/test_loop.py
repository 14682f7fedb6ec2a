"""The loop on its own: what it keeps, when it stops, and what it leaves alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.train import loop
from lmcore.train.batch import Batch, Rows
from lmcore.train.gradient import Lanes
from lmcore.train.journal import Journals
from lmcore.train.loop import Run, train
from lmcore.train.optimizer import Optimizer
from lmcore.train.precision import WorkingModel, trained
from lmcore.train.schedule import Schedule
from lmcore.train.settings import Descent
from lmcore.train.validation import Score

CONFIG = TransformerConfig(width=8, num_layers=1, num_heads=2, hidden_width=8, context_tokens=8)


class Repeated:
    """The same few tokens at every step."""

    def batch(self, step: int) -> Batch:
        tokens = torch.arange(18).view(2, 9) % 11
        return Batch([Rows(tokens)], num_tokens=16, num_targets=16)


class Silent:
    def write(self, model: Transformer) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[Any]:
    """make_run(model, patience=2): a run over nine steps, every one of which looks."""

    def make(model: Transformer, **settings: Any) -> Run:
        config = Descent(precision="fp32", device="cpu", validate_every=1, **settings)
        return Run(
            config=config,
            schedule=Schedule(steps=9, warmup_steps=0, peak_rate=1e-2, last_share=1.0),
            identity="run",
            model=model,
            working=WorkingModel(model, "fp32"),
            optimizer=Optimizer(model, config),
            training=Repeated(),
            validation=[],
            samples=Silent(),  # type: ignore[arg-type]
            lanes=Lanes(1),
            journals=journals,
            resume_folder=tmp_path / "resume",
            checkpoint_seconds=1e9,
        )

    with Journals(tmp_path, {}) as journals:
        yield make


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """script([3.0, 2.0]): the losses that the looks find, in their order; gives the weights that they saw."""

    def play(losses: list[float]) -> list[dict[str, torch.Tensor]]:
        seen: list[dict[str, torch.Tensor]] = []

        def validate(model: Transformer, *_: object) -> Score:
            seen.append({name: weight.clone() for name, weight in model.state_dict().items()})
            return Score(losses[len(seen) - 1], 1.0)

        monkeypatch.setattr(loop, "validate", validate)
        return seen

    return play


@pytest.mark.parametrize(
    ("losses", "patience", "stops_at", "best_at"),
    [
        ([3.0, 2.0, 2.5, 2.1, 1.0, 0.5], 2, 4, 2),
        ([3.0, 2.0, 2.5, 1.9, 2.0, 2.0, 1.0], 2, 6, 4),
        ([3.0, 2.0, 2.0, 2.0, 2.0], 3, 5, 2),  # as good is not better
        ([5.0, 4.0, 4.5, 4.4, 4.3, 4.2, 3.9, 4.0, 4.1], None, 9, 7),
    ],
)
def test_on_a_scripted_loss_it_stops_where_patience_ends_and_keeps_the_best(
    make_run: Any, script: Any, losses: list[float], patience: int | None, stops_at: int, best_at: int
):
    seen = script(losses)
    run = make_run(Transformer(CONFIG, 11), patience=patience)
    train(run)
    assert (run.step, run.best.step, run.best.score.loss) == (stops_at, best_at, losses[best_at - 1])
    assert all(torch.equal(weight, seen[best_at - 1][name]) for name, weight in run.best.weights.items())


def test_a_model_that_knows_something_is_looked_at_first_and_kept_if_it_only_gets_worse(
    make_run: Any, script: Any
):
    model = Transformer(CONFIG, 11)
    before = {name: weight.clone() for name, weight in trained(model).items()}
    script([1.0, 2.0, 3.0])
    run = make_run(model, patience=2)
    run.is_continued = True
    train(run)
    assert (run.step, run.best.step) == (2, 0)
    assert all(torch.equal(weight, before[name]) for name, weight in run.best.weights.items())


def test_frozen_weights_are_not_moved_not_remembered_and_not_saved(make_run: Any, script: Any):
    script([1.0] * 9)
    model = Transformer(CONFIG, 11)
    model.requires_grad_(False)
    model.blocks[0].attention.to_out.weight.requires_grad_(True)
    model.norm.weight.requires_grad_(True)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    run = make_run(model, optimizer="adamw")
    train(run, stop_after=9)
    moved = {n for n, weight in model.named_parameters() if not torch.equal(weight, before[n])}
    assert moved == set(trained(model)) == {"blocks.0.attention.to_out.weight", "norm.weight"}
    saved = loop._to_checkpoint(run)
    assert set(saved.of_kind("model")) == set(saved.of_kind("best")) == moved
    assert {name.partition("/")[2] for name in saved.of_kind("optimizer")} == moved


def test_the_gradients_of_the_trained_weights_are_those_that_they_have_among_all():
    from lmcore.train.gradient import batch_gradient

    model = Transformer(CONFIG, 11)
    batch = Repeated().batch(0)
    names = [name for name, _ in model.named_parameters()]
    everything = dict(
        zip(names, batch_gradient(WorkingModel(model, "fp32"), batch, Lanes(1))[1], strict=True)
    )
    model.embedding.weight.requires_grad_(False)
    some = batch_gradient(WorkingModel(model, "fp32"), batch, Lanes(1))[1]
    for name, gradient in zip(trained(model), some, strict=True):
        assert torch.allclose(gradient, everything[name], atol=1e-7)


def test_a_working_copy_of_a_part_follows_that_part():
    model = Transformer(CONFIG, 11)
    model.requires_grad_(False)
    model.norm.weight.requires_grad_(True)
    working = WorkingModel(model, "bf16")
    model.norm.weight.data.fill_(3)
    working.refresh()
    assert [weight.dtype for weight in working.weights] == [torch.bfloat16]
    assert working.model.norm.weight[0] == 3
