"""A user's own texts in a workspace of their own: one YAML file, and clear words when something is wrong."""

import gzip
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITHOUT_SERVER = {"DVC_STAGE": "test"}
"""As under `dvc repro`: all steps run in the process itself, which starts faster."""
SMALL = (
    "tokenizer.vocab_size=300",
    "model.width=16", "model.num_layers=1", "model.num_heads=2", "model.context_tokens=32",
    "train.steps=6", "train.warmup_steps=2", "train.validate_every=3", "train.batch_size=4",
    "train.sample_tokens=4", "evaluate.num_resamples=50", "evaluate.sample_tokens=4",
)  # fmt: skip


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    folder = tmp_path / "my letters"
    folder.mkdir()
    with gzip.open(ROOT / "data" / "sources" / "jane_austen" / "persuasion.txt.gz", "rt") as novel:
        words = novel.read().split()
    for number in range(12):
        (folder / f"letter_{number:02}.txt").write_text(" ".join(words[number * 900 : number * 900 + 900]))
    return folder


@pytest.fixture
def own(lm_in, tmp_path: Path, letters: Path):
    """A workspace made by `lm init` for the letters."""
    outside = lm_in(tmp_path)
    output = outside("init", str(tmp_path / "workspace"), "--texts", str(letters), LM_WORKSPACE="")
    assert "lm build_assistant my_letters" in output
    return lm_in(tmp_path / "workspace")


def test_a_folder_of_text_files_becomes_a_registered_model(own, with_server):
    with_server(own)
    output = own("build_assistant", "my_letters", *SMALL)
    assert "@champion" in output
    assert "letter_00.txt" in own("lineage", output.split("lm lineage ")[1].split()[0])
    assert "nothing to make" in own("build_assistant", "my_letters", *SMALL)


def test_conversations_of_ones_own_make_an_assistant(own, tmp_path):
    answers = tmp_path / "support"
    answers.mkdir()
    lines = [f'{{"prompt": "What is {n}?", "completion": "It is {n}."}}' for n in range(60)]
    (answers / "questions.jsonl").write_text("\n".join(lines) + "\n")
    chosen = f"own_conversations=[{{name: support, path: {answers}, licence: my own}}]"
    ways = "finetune={lora: {method: lora, epochs: 1, lora: {rank: 2}}}"
    ways = (*SMALL, "model.context_tokens=96", "exam.num_resamples=50", ways)
    output = own("build_assistant", "my_letters", *ways, chosen, **WITHOUT_SERVER)
    assert "questions, test side" in output
    assert "-assistant@champion --chat" in output
    (answers / "questions.jsonl").write_text("{}\n")
    output = own("build_assistant", "my_letters", *ways, chosen, code=2)
    assert "questions.jsonl, line 1" in output


def test_a_way_to_finetune_without_conversations_is_refused_before_any_work(own):
    output = own("build_assistant", "my_letters", *SMALL, "finetune={lora: {method: lora}}", code=2)
    assert "own_conversations" in output
    assert len(output.strip().splitlines()) == 1
    assert not (own.workspace / "data" / "raw").exists()


def test_the_command_in_the_readme_writes_a_file_that_works(own, letters):
    readme = (ROOT / "README.md").read_text()
    line = next(line for line in readme.splitlines() if line.startswith("sources: [{name: letters"))
    file = own.workspace / "experiments" / "build_assistant" / "letters.yaml"
    file.write_text(line.replace("~/letters", f'"{letters}"'))
    assert "ingest_source letters" in own("plan", "build_assistant", "letters")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: [file.unlink() for file in folder.iterdir()], "no file"),
        (lambda folder: [file.write_bytes(b"abc\xff\xfe\x00") for file in folder.iterdir()], "letter_00.txt"),
        (lambda folder: [file.write_bytes(b"") for file in folder.iterdir()], "letter_00.txt"),
        (lambda folder: folder.rename(folder.with_name("gone")), "no such folder"),
    ],
    ids=["empty folder", "binary files", "empty files", "missing folder"],
)
def test_texts_that_cannot_be_read_are_refused_before_any_work(own, letters, change, message):
    change(letters)
    output = own("build_assistant", "my_letters", *SMALL, code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1
    assert not (own.workspace / "data" / "raw").exists()


def test_texts_of_which_some_cannot_be_read_are_quarantined_and_the_next_run_reads_only_what_is_new(
    own, letters
):
    (letters / "letter_03.txt").write_bytes(b"abc\xff\xfe\x00")
    (letters / "letter_05.txt").write_bytes(b"")
    output = own("prepare_corpus", "my_letters", **WITHOUT_SERVER)
    assert "2 records could not be read, 2 of them whole files: 1 empty_file, 1 not_utf8" in output
    (letters / "letter_12.txt").write_text((letters / "letter_11.txt").read_text()[::-1])
    assert "ingest_source my_letters" in own("prepare_corpus", "my_letters", **WITHOUT_SERVER)


def test_a_field_that_a_table_does_not_have_is_refused_with_those_that_it_has(own, letters):
    for file in letters.iterdir():
        file.unlink()
    (letters / "mail.jsonl").write_text('{"body": "some words"}\n')
    yaml = own.workspace / "experiments" / "build_assistant" / "my_letters.yaml"
    yaml.write_text(yaml.read_text() + "    reader: jsonl\n")
    output = own("build_assistant", "my_letters", code=2)
    assert "'text'" in output
    assert "body" in output
    assert len(output.strip().splitlines()) == 1


def test_a_vocabulary_that_the_text_cannot_fill_says_so(own):
    wide = (*SMALL[1:], "tokenizer.vocab_size=60000")
    output = own("build_assistant", "my_letters", *wide, code=2, **WITHOUT_SERVER)
    assert "vocab_size" in output
    assert "lm:" in output.strip().splitlines()[-1]


def test_init_refuses_to_make_a_workspace_twice(own):
    output = own("init", str(own.workspace), code=2)
    assert "is a workspace already" in output


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (
            "train.mixture={weights: {my_leters: 1}}",
            "'train.mixture.weights': no source named 'my_leters'. Did you mean 'my_letters'?",
        ),
        (
            "train.mixture={my_letters: 1}",
            "unknown setting 'train.mixture.my_letters'. Known: temperature, weights",
        ),
        (
            "train.mixture.temperature=0",
            "'train.mixture.temperature' is 0; input should be greater than or equal to 1",
        ),
        ("branches.leanings={a: {my_letters: 1}, b: {x: 1}}", "'branches.leanings.b': no source named 'x'"),
        ("branches.leanings={a: {my_letters: 1}, b: {}}", "'branches.leanings.b' is {}"),
        ("branches.leanings={a: {my_letters: 1}, b: {my_letters: -1}}", "should be greater than 0"),
        ("branches.leanings={linear: {my_letters: 1}, b: {my_letters: 1}}", "cannot be called 'linear'"),
        ("merges.base={method: linear}", "cannot be called 'base'"),
        ("merges.a/b={method: linear}", "'merges.a/b' is 'a/b'; expected a name of letters"),
        ("finetune.base={method: lora}", "no way can be called 'base'"),
        ("registration.alias=v1", "'v1' is how MLflow names a version"),
    ],
)
def test_a_wrong_name_is_refused_by_the_plan_already(own, wrong, says):
    output = own("plan", "build_assistant", "my_letters", wrong, code=2)
    assert says in output
    assert len(output.strip().splitlines()) == 1
