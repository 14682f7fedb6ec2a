from pathlib import Path

import pytest
import torch
import transformers

from lmcore.generate.decode import generate
from lmcore.interop.hugging_face import load_folder
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer

PROMPT = [5, 9, 2, 30]


@pytest.fixture(scope="module")
def model() -> Transformer:
    config = TransformerConfig(width=32, num_layers=2, num_heads=4, num_key_value_heads=2, context_tokens=48)
    model = Transformer(config, 50, seed=2)
    model.embedding.weight.data *= 40  # a decided model, so that its choices do not hang on rounding
    return model.eval()


def rest(model: Transformer, number: int = 20, **settings: object) -> list[int]:
    return list(generate(model, PROMPT, number, **settings))  # type: ignore[arg-type]


def test_greedy_equals_reading_the_whole_text_anew_for_each_token(model: Transformer):
    text = list(PROMPT)
    for _ in range(20):
        text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
    assert rest(model) == text[len(PROMPT) :]


def test_greedy_equals_transformers(tmp_path: Path):
    config = transformers.LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4
    )
    theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.lm_head.weight.data *= 40
    theirs.save_pretrained(tmp_path)
    expected = theirs.generate(torch.tensor([PROMPT]), max_new_tokens=20, do_sample=False, eos_token_id=None)
    assert rest(load_folder(tmp_path)) == expected[0, len(PROMPT) :].tolist()


def test_a_low_temperature_and_top_k_of_one_are_greedy(model: Transformer):
    assert rest(model, temperature=1e-4) == rest(model)
    assert rest(model, temperature=2.0, top_k=1) == rest(model)
    assert rest(model, temperature=2.0, top_p=1e-6) == rest(model)


def test_the_seed_alone_decides_the_draws(model: Transformer):
    torch.manual_seed(1)
    first = rest(model, temperature=3.0, seed=7)
    torch.manual_seed(2)
    assert rest(model, temperature=3.0, seed=7) == first
    assert rest(model, temperature=3.0, seed=8) != first


def test_drawing_leaves_the_shared_generator_alone(model: Transformer):
    before = torch.get_rng_state()
    rest(model, temperature=1.0)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_stops_before_a_stop_token(model: Transformer):
    greedy = rest(model)
    stop = greedy[6]
    assert rest(model, stop_ids=[stop]) == greedy[: greedy.index(stop)]


def test_a_text_that_outgrows_the_context_goes_on_from_its_later_half(model: Transformer):
    tokens = rest(model, number=100)
    assert len(tokens) == 100
    # 48 positions: 4 of the prompt and 44 new ones; number 45 is written with the last 24 in view.
    text = PROMPT + tokens
    assert tokens[45] == int(model(torch.tensor([text[25:49]]))[0, -1].argmax())


def test_a_prompt_longer_than_the_context_keeps_its_end(model: Transformer):
    long_prompt = list(range(50)) * 2
    assert next(generate(model, long_prompt, 1)) == int(
        model(torch.tensor([long_prompt[-48:]]))[0, -1].argmax()
    )


def test_a_strong_frequency_penalty_repeats_nothing(model: Transformer):
    tokens = rest(model, number=40, frequency_penalty=1e6)
    assert len({*tokens, *PROMPT}) == 44


@pytest.mark.parametrize(
    ("prompt", "complaint"), [([], "no tokens"), ([3, 50], "token id 50, the model knows 0 to 49")]
)
def test_a_prompt_that_cannot_be_read_is_refused_at_once(
    model: Transformer, prompt: list[int], complaint: str
):
    with pytest.raises(ValueError, match=complaint):
        generate(model, prompt, 3)
