import base64
import json
import sys

import pytest

from lmcore.tokenizers.byte_letters import LETTERS, spell, unspell
from lmcore.tokenizers.compression import measure_compression
from lmcore.tokenizers.control import CONTROL_TOKENS
from lmcore.tokenizers.references import open_reference
from lmcore.tokenizers.settings import ReferenceConfig
from lmcore.tokenizers.tokenizer import Tokenizer, TokenizerError

TEXTS = ["the bashito in nulovero", "", "naïve and\n\n 漢字", "<|endoftext|>"]


@pytest.fixture
def ranks(small_tokenizer, tmp_path):
    """The small tokenizer as lines of base64 and rank."""
    vocab = json.loads((small_tokenizer / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = [unspell(token) for token in sorted(vocab, key=vocab.get)[len(CONTROL_TOKENS) :]]
    path = tmp_path / "small.tiktoken"
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens)))
    return path


def test_letters_of_bytes_are_those_of_tokenizers():
    from tokenizers import pre_tokenizers

    assert set(LETTERS) == set(pre_tokenizers.ByteLevel.alphabet())
    text = "".join(map(chr, range(1, 0x800)))
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    assert spell(text.encode()) == cut[0][0]
    assert unspell(spell(bytes(range(256)))) == bytes(range(256))


@pytest.mark.parametrize("form", ["json", "tiktoken"])
def test_a_reference_cuts_text_as_its_owner_does(small_tokenizer, ranks, form):
    file = ranks if form == "tiktoken" else small_tokenizer / "tokenizer.json"
    rule = "gpt2" if form == "tiktoken" else None
    reference = open_reference(ReferenceConfig(name="small", file=str(file), pre_tokenizer=rule))
    tokenizer = Tokenizer.load(small_tokenizer)
    assert reference.lengths(TEXTS).tolist() == [len(tokenizer.encode(text)) for text in TEXTS]
    assert reference.vocab_size == (392 if form == "tiktoken" else 400)


def test_a_tokenizer_with_a_rule_of_its_own_is_a_reference_too(small_tokenizer, tmp_path):
    document = json.loads((small_tokenizer / "tokenizer.json").read_text())
    document["normalizer"] = {"type": "Lowercase"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    reference = open_reference(ReferenceConfig(name="other", file=str(tmp_path / "tokenizer.json")))
    tokenizer = Tokenizer.load(small_tokenizer)
    assert reference.lengths(["THE", "the"]).tolist() == [len(tokenizer.encode("the"))] * 2


def test_the_report_sets_a_reference_beside_by_side_and_source(small_corpus, small_tokenizer, ranks):
    tokenizer = Tokenizer.load(small_tokenizer)
    compare_with = [ReferenceConfig(name="small", file=str(ranks), pre_tokenizer="gpt2")]
    report = measure_compression(small_corpus, tokenizer, compare_with=compare_with)
    beside = report["references"]["small"]
    assert (beside["sides"], beside["sources"]) == (report["sides"], report["sources"])
    assert "references" not in measure_compression(small_corpus, tokenizer)


def test_a_package_that_ships_a_vocabulary_is_named_by_its_name(small_tokenizer, tmp_path, monkeypatch):
    package = tmp_path / "ships_a_vocabulary"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('a package is not run to read its file')")
    (package / "own.json").write_bytes((small_tokenizer / "tokenizer.json").read_bytes())
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert open_reference(ReferenceConfig(name="own", file="ships_a_vocabulary:own.json")).vocab_size == 400


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("none.json", None, "there is no vocabulary .*none.json"),
        ("no_such_package:tokenizer.json", None, "no package 'no_such_package' is installed"),
        ("bad.json", "{", "bad.json is no vocabulary"),
        ("bad.json", "{}", "bad.json is no vocabulary"),
        ("bad.tiktoken", "a b c", "holds ranks alone: name in pre_tokenizer"),
    ],
)
def test_what_is_no_vocabulary_is_refused_in_one_line(tmp_path, monkeypatch, file, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / file).write_text(content)
    with pytest.raises(TokenizerError, match=message) as error:
        open_reference(ReferenceConfig(name="bad", file=file))
    assert "\n" not in str(error.value)


def test_damaged_ranks_are_refused(ranks):
    ranks.write_bytes(ranks.read_bytes() + b"half a line\n")
    with pytest.raises(TokenizerError, match=r"small.tiktoken is no vocabulary"):
        open_reference(ReferenceConfig(name="bad", file=str(ranks), pre_tokenizer="gpt2"))
