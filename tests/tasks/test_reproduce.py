"""A registered model made again from its record: same bytes, or what is not as it was then."""

import shutil
from pathlib import Path

import pytest

from flows.cli.catalog import find_flow, kind_of
from lmcore.config import SettingsError
from tasks.engine.experiment import load_experiment
from tasks.engine.run import Options, run_flow
from tasks.engine.workspace import Workspace
from tasks.forgetting.forget import Forgetting
from tasks.forgetting.subject import find_subject
from tasks.lineage.find import find_product
from tasks.reproducing.rebuild import BROUGHT, Product, Rebuilding, unlike
from tasks.reproducing.verdict import judge

EXPERIMENT = """
sources: [{name: letters, path: ../letters, licence: my own}]
filters: [length]
split: {validation_share: 0.2, test_share: 0.2}
tokenizer: {vocab_size: 280}
model: {width: 16, num_layers: 1, num_heads: 2, context_tokens: 32}
train:
  {steps: 2, batch_size: 4, warmup_steps: 1, validate_every: 2, validation_tokens: 256, sample_prompts: []}
evaluate: {prompts: [b], sample_tokens: 4, num_resamples: 20}
comparison: {prompts: [b], sample_tokens: 4, num_resamples: 20}
"""


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model; then a letter more, and a second version that started from the first one's ledger of sides."""
    home = tmp_path_factory.mktemp("reproduce")
    letters, workspace = home / "letters", Workspace(home / "ws")
    letters.mkdir()
    for number in range(12):
        words = (
            f"{start}{end}{number}" for start in ("ba", "do", "ke") for end in ("ran", "del", "mis", "tor")
        )
        (letters / f"l{number:02}.txt").write_text(" ".join([*words] * 4))
    file = workspace.root / "experiments" / "build_assistant" / "letters.yaml"
    file.parent.mkdir(parents=True)
    (workspace.root / ".lmworks").touch()
    file.write_text(EXPERIMENT)
    flow = find_flow("build_assistant")
    for more in ("", "quite another letter, of more than the fewest words that there have to be " * 4):
        if more:
            (letters / "more.txt").write_text(more)
        experiment = load_experiment(workspace, flow.name, "letters", [], kind_of)
        run_flow(workspace, flow, experiment, Options(use_prefect=False))
    return home


@pytest.fixture
def home(registered: Path, tmp_path: Path) -> Path:
    shutil.copytree(registered, tmp_path / "home", symlinks=True)
    return tmp_path / "home"


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return Workspace(home / "ws")


def rebuild(workspace: Workspace, called: str, scratch: Path) -> list[Product]:
    return Rebuilding(workspace, find_product(workspace, called).trace(workspace), scratch).run()


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the one in which SQLite's readers say that they are reading."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".db-shm")
    return {path.as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_version_comes_out_with_the_same_bytes_and_the_workspace_is_only_read(workspace, tmp_path, version):
    (workspace.root.parent / "letters" / "unrelated.txt").write_text("came later")
    before = contents(workspace.root)
    made = rebuild(workspace, f"letters@{version}", tmp_path / "scratch")
    assert [product.node.step for product in made][-1] == "pretrain_model"
    assert len(made) == 8
    assert unlike(made) == []
    assert judge(made).word == "same bytes"
    assert judge(made).sentences == ("same bytes: 8 products made again, each as it was",)
    assert contents(workspace.root) == before


def test_where_a_source_has_changed_what_was_read_from_it_comes_from_a_copy(home, workspace, tmp_path):
    (home / "letters" / "l03.txt").write_text("edited since")
    made = rebuild(workspace, "letters@v1", tmp_path / "scratch")  # its raw documents were replaced by v2's
    assert [product.node.step for product in made if product.how == BROUGHT] == ["ingest_source"]
    assert unlike(made) == []
    verdict = judge(made)
    assert verdict.sentences[0] == "same bytes: 7 products made again, each as it was"
    assert verdict.sentences[1].endswith("l03.txt has other bytes now")


def test_without_the_source_and_without_a_copy_it_is_refused_in_one_line(home, workspace, tmp_path):
    (home / "letters" / "l03.txt").unlink()
    shutil.rmtree(workspace.root / ".dvc" / "cache")
    with pytest.raises(
        SettingsError, match=r"l03.txt is gone, and no copy of data/raw/letters \(\w+\) is left"
    ):
        rebuild(workspace, "letters@v1", tmp_path / "scratch")


def test_what_saw_a_forgotten_file_is_not_made_again(workspace, tmp_path):
    Forgetting(workspace, find_subject(workspace, "letters/l03.txt"), "asked").carry_out()
    with pytest.raises(SettingsError, match=r"it saw letters/l03.txt, which was forgotten on .*: asked"):
        rebuild(workspace, "letters@v1", tmp_path / "scratch")


def altered(product: Product, **changes) -> Product:
    """The same product, of which the record says something else."""
    recorded = product.node.manifest.model_copy(update=changes)
    node = type(product.node)(
        product.node.address, product.node.name, changes.get("digest", product.node.digest), recorded
    )
    return Product(node, product.manifest, product.how, product.seconds)


def test_other_bytes_are_told_with_what_has_changed_since(workspace, tmp_path):
    *before, model = rebuild(workspace, "letters@v1", tmp_path / "scratch")
    recorded = model.manifest
    other = {"digest": "0" * 64}
    elsewhere = {**recorded.environment, "cpu": "x86_64-avx2", "torch": "2.9.0"}
    verdict = judge([*before, altered(model, **other, environment=elsewhere)])
    assert verdict.word == "like scores"
    assert any("made with cpu x86_64-avx2, now" in sentence for sentence in verdict.sentences)
    assert verdict.sentences[-1] == "it scores alike, within 1%"
    worse = {**recorded.facts, "validation_bits_per_byte": 9.0}
    assert judge([*before, altered(model, **other, environment=elsewhere, facts=worse)]).word == "other"
    document = {**recorded.key_document, "code": {"lmcore.train.loop:train": "0"}, "fingerprint": "0"}
    git = {"git": {"commit": "abc123", "dirty": False}}
    verdict = judge([*before, altered(model, **other, key_document=document, provenance=git)])
    assert verdict.word == "other"
    assert "check out commit abc123, and reproduce it there" in " ".join(verdict.sentences)
    verdict = judge([*before, altered(model, **other)])
    assert "its step is not deterministic" in verdict.sentences[1]
