from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.train.checkpoint import NUM_KEPT, Checkpoint, load_latest, save_checkpoint


def make(step: int, identity: str = "run") -> Checkpoint:
    tensors = {"model/a": torch.full((3, 2), step / 7), "best/a": torch.tensor([1.0])}
    return Checkpoint(step, identity, tensors, {"loss": 0.1 * step})


def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path):
    save_checkpoint(make(3), tmp_path)
    loaded = load_latest(tmp_path, "run")
    assert loaded is not None
    assert (loaded.step, loaded.numbers) == (3, {"loss": 0.1 * 3})
    assert torch.equal(loaded.of_kind("model")["a"], torch.full((3, 2), 3 / 7))
    assert list(loaded.of_kind("best")) == ["a"]


def test_the_latest_are_kept_and_the_rest_removed(tmp_path: Path):
    for step in (1, 9, 10, 11):
        save_checkpoint(make(step), tmp_path)
    assert len(list(tmp_path.iterdir())) == NUM_KEPT
    latest = load_latest(tmp_path, "run")
    assert latest is not None
    assert latest.step == 11


@settings(max_examples=30)
@given(st.data())
def test_a_torn_or_damaged_file_is_noticed_and_the_one_before_used(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
):
    folder = tmp_path_factory.mktemp("resume")
    save_checkpoint(make(5), folder)
    path = save_checkpoint(make(6), folder)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    path.write_bytes(content)
    latest = load_latest(folder, "run")
    assert latest is not None
    assert latest.step == 5


def test_with_no_whole_file_there_is_nothing_to_go_on_from(tmp_path: Path):
    assert load_latest(tmp_path / "missing", "run") is None
    save_checkpoint(make(1), tmp_path).write_bytes(b"")
    (tmp_path / "unfinished").write_bytes(b"half")
    assert load_latest(tmp_path, "run") is None


def test_the_state_of_another_run_is_never_taken_up(tmp_path: Path):
    save_checkpoint(make(4), tmp_path)
    with pytest.raises(ValueError, match="step 4 of a run with other settings or data; remove that folder"):
        load_latest(tmp_path, "another")
