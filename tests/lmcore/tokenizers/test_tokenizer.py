import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from lmcore.tokenizers.control import CONTROL_TOKENS, END_OF_TEXT, PAD
from lmcore.tokenizers.tokenizer import Tokenizer, TokenizerError

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SPELLS_CONTROL = st.lists(
    st.one_of(st.sampled_from([*CONTROL_TOKENS, "<|", "|>", "im_start"]), ANY_TEXT)
).map("".join)


@pytest.fixture(scope="module")
def tokenizer(small_tokenizer):
    return Tokenizer.load(small_tokenizer)


@pytest.fixture(scope="module")
def reference(small_tokenizer, tmp_path_factory):
    """transformers' tokenizer, from a folder that looks like a Llama model's."""
    folder = tmp_path_factory.mktemp("model") / "llama"
    shutil.copytree(small_tokenizer, folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "vocab_size": 400}))
    return AutoTokenizer.from_pretrained(folder)


@given(ANY_TEXT)
@settings(max_examples=300)
def test_decoding_gives_back_any_text(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(SPELLS_CONTROL)
@settings(max_examples=300)
def test_no_text_encodes_to_a_control_token(tokenizer, text):
    ids = tokenizer.encode(text)
    assert not set(ids) & set(tokenizer.control_ids.values())
    assert tokenizer.decode(ids) == text


@given(ANY_TEXT)
@settings(max_examples=200)
def test_transformers_gives_the_same_ids(tokenizer, reference, text):
    assert reference(text, split_special_tokens=True).input_ids == tokenizer.encode(text)
    assert reference(text + END_OF_TEXT, split_special_tokens=True).input_ids == tokenizer.encode(
        text + END_OF_TEXT
    )


def test_transformers_knows_the_same_control_tokens(tokenizer, reference):
    assert set(reference.all_special_ids) == set(tokenizer.control_ids.values()) == set(range(8))
    assert (reference.eos_token_id, reference.pad_token_id) == (tokenizer.eos_id, tokenizer.pad_id)
    assert reference.bos_token_id is None
    assert len(reference) == tokenizer.vocab_size == 400
    assert tokenizer.pad_id != tokenizer.eos_id


@given(ANY_TEXT)
@settings(max_examples=200)
def test_tokens_spell_as_many_bytes_as_their_text_has(tokenizer, text):
    ids = np.array(tokenizer.encode(text), dtype=int)
    assert tokenizer.token_bytes[ids].sum() == len(text.encode())


def test_control_tokens_spell_no_bytes(tokenizer):
    assert not tokenizer.token_bytes[:8].any()
    assert (tokenizer.token_bytes[8 : 8 + 256] == 1).all()


def test_a_batch_is_each_text_by_itself_in_order(tokenizer):
    texts = ["", "one", "", "two\n", "一二三", "one"]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    assert tokenizer.encode_batch([]) == []


def test_decoding_leaves_control_tokens_out_unless_asked(tokenizer):
    ids = [tokenizer.eos_id, *tokenizer.encode("the"), tokenizer.pad_id]
    assert tokenizer.decode(ids) == "the"
    assert tokenizer.decode(ids, keep_control=True) == f"{END_OF_TEXT}the{PAD}"
    assert tokenizer.decode(np.array(ids)) == "the"


def test_half_a_letter_decodes_to_the_replacement_character(tokenizer):
    assert tokenizer.decode(tokenizer.encode("\u6f22")[:2]) == "\ufffd"


def test_a_lone_surrogate_is_refused_with_its_place(tokenizer):
    with pytest.raises(TokenizerError, match="character 2 has no UTF-8 form"):
        tokenizer.encode_batch(["fine", "ab\ud800"])


@pytest.mark.parametrize("bad", [-1, 400])
def test_an_id_outside_of_the_vocabulary_is_refused(tokenizer, bad):
    with pytest.raises(TokenizerError, match=f"token id {bad} is outside of the vocabulary of 400"):
        tokenizer.decode([10, bad])


def test_the_digest_survives_saving_by_transformers_and_notices_a_changed_merge(
    tokenizer, reference, small_tokenizer, tmp_path
):
    reference.save_pretrained(tmp_path / "saved")
    assert Tokenizer.load(tmp_path / "saved").digest == tokenizer.digest
    document = json.loads((small_tokenizer / "tokenizer.json").read_text())
    document["model"]["merges"].reverse()
    assert Tokenizer(document, END_OF_TEXT).digest != tokenizer.digest


def test_the_end_of_text_token_may_be_spelled_as_an_object(small_tokenizer, tmp_path):
    shutil.copytree(small_tokenizer, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|im_end|>"}}))
    loaded = Tokenizer.load(tmp_path)
    assert loaded.eos_id == loaded.pad_id == 2


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("tokenizer_config.json", None, "has no tokenizer_config.json"),
        ("tokenizer.json", "{", "is not JSON"),
        ("tokenizer.json", "[]", "holds a list, expected an object"),
        ("tokenizer.json", "{}", "is no tokenizer"),
        ("tokenizer_config.json", "{}", "names no eos_token"),
        ("tokenizer_config.json", '{"eos_token": "</s>"}', "no control token '</s>'; known: "),
    ],
)
def test_a_folder_that_is_no_tokenizer_is_refused_in_one_line(
    small_tokenizer, tmp_path, file, content, message
):
    shutil.copytree(small_tokenizer, tmp_path, dirs_exist_ok=True)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    with pytest.raises(TokenizerError, match=message) as error:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(error.value)
