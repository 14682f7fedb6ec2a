import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lmcore.evaluate.gate import begins_anew, decide
from lmcore.evaluate.gate_checks import check_target
from lmcore.evaluate.paired_scores import PairedScores, write_scores
from lmcore.evaluate.settings import GateConfig
from lmcore.evaluate.slowdown import read_slowdown

SETTINGS = GateConfig(num_resamples=20_000)
SIZES = np.random.RandomState(7).lognormal(8, 0.8, size=72).round()
NOISE = np.random.RandomState(8).normal(0, 0.01, size=72) * SIZES
NOISE -= SIZES * NOISE.sum() / SIZES.sum()
"""Bits by which the challenger differs on each document, with no difference in all."""
FINE = {"is_finite": True, "prompts": 2, "silent": []}


def scores_of(gain, noise=NOISE, kind="nats", older=True, families=None, champion=1.5):
    """A challenger that needs `gain` fewer bits for each byte than a champion with `champion`."""
    sizes, unit = SIZES[: len(noise)], math.log(2)
    theirs = champion * sizes
    digests = [f"{number:064x}" for number in range(len(noise))]
    return PairedScores(
        kind, digests, ["tales"] * len(noise), families or digests, sizes,
        theirs * unit, (theirs + noise - gain * sizes) * unit, np.full(len(noise), older),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """folder(scores, ...) makes the folder of a challenge."""

    def make(scores, slowdowns=(1.0,) * 25, smoke=FINE, **challenger):
        size = {"parameters": 1000, "weight_bytes": 4000, "bytes_per_token": 4.0, "smoke": FINE}
        models = {"challenger": size | {"smoke": smoke} | challenger}
        if scores.champion is not None:
            models["champion"] = size
        told = {"kind": scores.kind, "metric": "bits per byte", "models": models}
        (tmp_path / "challenge.json").write_text(json.dumps(told))
        write_scores(scores, tmp_path)
        if slowdowns:
            (tmp_path / "log").mkdir()
            speed = {"device": "cpu", "tokens": 32, "rounds": [[1.0, each] for each in slowdowns]}
            (tmp_path / "log" / "speed.json").write_text(json.dumps(speed))
        return tmp_path

    return make


def words(decision):
    return {check.name: check.word for check in decision.checks}


def test_a_challenger_that_is_better_beyond_noise_is_promoted_and_the_sentence_says_by_how_much(folder):
    decision = decide(folder(scores_of(0.015)), SETTINGS, 3)
    assert decision.word == "promote"
    assert set(words(decision).values()) == {"passed"}
    assert decision.sentence.startswith(
        "promote: 1.4850 against 1.5000 bits per byte (1 % better) on 72 documents that neither has seen; "
        "reckoning with 2 more documents to the contrary, noise would lead by as much with probability "
        "5e-05, and look 3 of 52 may spend 0.00096"
    )
    assert decision.sentence.endswith("passed as well: older text, speed, size, smoke")
    assert (decision.documents, decision.documents_needed) == (72, None)
    assert decision.error_rate == 0.05 / 52


def test_a_lead_that_noise_could_have_cannot_be_told_and_how_many_more_documents_would_is_said(folder):
    decision = decide(folder(scores_of(0.005)), SETTINGS, 1)
    assert (decision.word, words(decision)["target"]) == ("cannot tell", "cannot tell")
    assert decision.sentence.startswith("cannot tell: 1.4950 against 1.5000 bits per byte (0.33 % better)")
    assert 40 < decision.documents_needed < 300
    assert f"needs about {decision.documents_needed} more documents" in decision.sentence


def test_the_documents_asked_for_do_tell_if_they_are_like_those_seen():
    needed = check_target(scores_of(0.005), "bits per byte", SETTINGS, 1).documents_needed
    random, found = np.random.RandomState(0), 0
    for _ in range(40):
        drawn = random.randint(72, size=72 + needed)
        bits = (NOISE - 0.005 * SIZES)[drawn] * math.log(2)
        scores = PairedScores(
            "nats", *[[str(place) for place in range(len(drawn))]] * 3, SIZES[drawn],
            SIZES[drawn], SIZES[drawn] + bits, np.zeros(len(drawn), dtype=bool),
        )  # fmt: skip
        found += check_target(scores, "bits per byte", SETTINGS, 1).word == "passed"
    assert 22 <= found <= 39


def test_a_challenger_that_is_worse_beyond_noise_is_not_wanted(folder):
    decision = decide(folder(scores_of(-0.03)), SETTINGS, 1)
    assert decision.word == "keep"
    assert decision.sentence.startswith("keep: 1.5300 against 1.5000 bits per byte (2 % worse)")
    assert decision.sentence.endswith("failed as well: older text")


def test_a_challenger_that_lags_within_noise_is_told_so_and_no_number_of_documents_is_named(folder):
    decision = decide(folder(scores_of(-0.001)), SETTINGS, 1)
    assert (decision.word, decision.documents_needed) == ("cannot tell", None)
    assert "noise would fall behind as far with probability" in decision.sentence
    assert "more documents hardly help" in decision.sentence


def test_a_model_does_not_replace_itself(folder):
    decision = decide(folder(scores_of(0, noise=0 * NOISE)), SETTINGS, 1)
    assert decision.word == "keep"
    assert "the same on each of them, so that nothing is won" in decision.sentence
    assert decision.error_rate == 0


@pytest.mark.parametrize(("documents", "more"), [(1, 29), (29, 1)])
def test_too_few_documents_tell_nothing_however_large_the_lead(folder, documents, more):
    decision = decide(folder(scores_of(0.5, noise=NOISE[:documents])), SETTINGS, 1)
    assert (decision.word, decision.documents_needed, decision.error_rate) == ("cannot tell", more, 0)
    assert f"at least 30 are wanted; needs about {more} more documents" in decision.sentence


def test_without_any_document_there_is_nothing_to_say(folder):
    decision = decide(folder(scores_of(0.5, noise=NOISE[:0])), SETTINGS, 1)
    assert decision.word == "cannot tell"
    assert "there is no document that neither model has seen; hold out more" in decision.sentence
    assert json.loads(json.dumps(decision.document(), allow_nan=False))["documents"] == 0


def test_documents_that_are_alike_count_once(folder):
    families = [str(number // 3) for number in range(72)]
    decision = decide(folder(scores_of(0.05, families=families)), SETTINGS, 1)
    assert decision.word == "cannot tell"
    assert "72 documents, 24 of them unlike each other, that neither has seen" in decision.sentence


def test_a_test_set_that_has_judged_all_its_challengers_promotes_none(folder):
    challenge = folder(scores_of(0.05))
    assert decide(challenge, SETTINGS, 52).word == "promote"
    decision = decide(challenge, SETTINGS, 53)
    assert (decision.word, decision.error_rate) == ("cannot tell", 0)
    assert "this test set has judged 52 challengers, and its error rate of 0.05 is spent" in decision.sentence
    assert "more than half new documents it begins anew, or set `looks` higher" in decision.sentence
    with pytest.raises(ValueError, match="look number 0: the first look at a test set is number 1"):
        decide(challenge, SETTINGS, 0)


def test_fewer_looks_may_spend_more_on_each(folder):
    challenge = folder(scores_of(0.007))
    assert decide(challenge, SETTINGS, 1).word == "cannot tell"
    assert decide(challenge, SETTINGS.model_copy(update={"looks": 2}), 1).word == "promote"


def test_a_guard_that_is_not_shown_is_no_pass(folder):
    scores = scores_of(0.02)
    scores.is_older[20:] = False
    decision = decide(folder(scores), SETTINGS, 1)
    assert words(decision)["target"] == "passed"
    assert (decision.word, words(decision)["older text"]) == ("cannot tell", "cannot tell")
    assert "at least 30 are wanted; needs about" in decision.sentence
    assert "more older documents, or a higher max_older_loss" in decision.sentence
    assert decision.documents_needed > 0


def test_without_older_documents_the_guard_says_how_to_do_without_it(folder):
    challenge = folder(scores_of(0.02, older=False))
    decision = decide(challenge, SETTINGS, 1)
    assert decision.word == "cannot tell"
    assert decision.sentence.endswith("held-out side had, too; hold out more, or set max_older_loss to null")
    decision = decide(challenge, SETTINGS.model_copy(update={"max_older_loss": None}), 1)
    assert (decision.word, words(decision)["older text"]) == ("promote", "off")


def test_a_challenger_that_forgot_the_older_text_stays_out(folder):
    noise = NOISE - 0.1 * SIZES
    noise[:36] += 0.14 * SIZES[:36]
    scores = scores_of(0, noise=noise)
    scores.is_older[36:] = False
    decision = decide(folder(scores), SETTINGS, 1)
    assert decision.word == "keep"
    assert words(decision)["older text"] == "failed"
    assert decision.checks[0].numbers["challenger"] < decision.checks[0].numbers["champion"]
    assert "(2.8 % worse) on 36 documents; at most 1 % worse is allowed, and it is more" in decision.sentence


def test_the_limit_is_a_share_of_what_the_champion_scores():
    scores = scores_of(0.5, noise=np.zeros(3))
    losses, weights = scores.losses(0.1)
    # 1.0 bits a byte against 1.5, of which a tenth more would do: 1.0 - 1.65.
    assert losses == pytest.approx(-0.65 * SIZES[:3])
    assert (weights == SIZES[:3]).all()
    marks = PairedScores(
        "marks", *[["a", "b"]] * 3, np.array([0.5, 0.5]), np.array([0.4, 0.3]), np.array([0.2, 0.3]),
        np.array([True, False]),
    )  # fmt: skip
    # Higher is better: 0.9 * 0.4 - 0.2 and 0.9 * 0.3 - 0.3.
    assert marks.losses(0.1)[0] == pytest.approx([0.16, -0.03])
    assert (marks.score("champion"), marks.score("challenger")) == pytest.approx((0.7, 0.5))


def test_of_models_that_chat_the_one_with_more_marks_is_better(folder):
    marks = scores_of(0.02, kind="marks")  # bits of a byte are read as marks of a question
    decision = decide(folder(marks), SETTINGS, 1)
    assert decision.word == "keep"
    assert "0.0139 worse" in decision.sentence


@pytest.mark.parametrize(
    ("slowdowns", "word", "said"),
    [
        ((1.2,) * 25, "promote", ""),
        ((0.8,) * 25, "promote", ""),
        ((1.4,) * 25, "keep", "speed: at most 25 % more time for a byte is allowed, and it is more"),
        ((1.0, 1.2, 1.4) * 8, "cannot tell", "which is not shown, and so no pass: measure again"),
        ((), "cannot tell", "speed: never measured here; make the challenge again"),
    ],
)
def test_a_slower_challenger_stays_out(folder, slowdowns, word, said):
    decision = decide(folder(scores_of(0.02), slowdowns=slowdowns), SETTINGS, 1)
    assert decision.word == word
    assert said in decision.sentence


def test_a_longer_token_makes_up_for_a_slower_one(folder):
    challenge = folder(scores_of(0.02), slowdowns=(1.5,) * 25, bytes_per_token=6.0)
    assert decide(challenge, SETTINGS, 1).word == "promote"
    measured = read_slowdown(challenge, json.loads((challenge / "challenge.json").read_text())["models"])
    assert measured["value"] == pytest.approx(0)
    assert measured["champion_bytes_per_second"] == pytest.approx(32 * 4)


def test_the_interval_of_a_slowdown_lies_between_ordered_rounds(folder):
    challenge = folder(scores_of(0.02), slowdowns=tuple(1 + np.arange(1, 26) / 1000))
    measured = read_slowdown(challenge, json.loads((challenge / "challenge.json").read_text())["models"])
    assert [measured[name] for name in ("low", "value", "high")] == pytest.approx([0.008, 0.013, 0.018])


def test_measured_on_another_day_the_decision_is_the_same_to_the_byte(folder, tmp_path):
    first = decide(folder(scores_of(0.02), slowdowns=(1.1,) * 25), SETTINGS, 1)
    rounds = [[2.0, 2.0 + number / 100] for number in range(25)]
    (tmp_path / "log" / "speed.json").write_text(
        json.dumps({"device": "cpu", "tokens": 32, "rounds": rounds})
    )
    assert decide(tmp_path, SETTINGS, 1).document() == first.document()


def test_a_larger_challenger_stays_out(folder):
    decision = decide(folder(scores_of(0.02), parameters=1101), SETTINGS, 1)
    assert decision.word == "keep"
    assert "size: 1,101 against 1,000 parameters" in decision.sentence


@pytest.mark.parametrize(
    ("smoke", "said"),
    [
        (FINE | {"is_finite": False}, "the challenger's logits are not finite"),
        (FINE | {"silent": ["The"]}, "nothing, or one token over and over, behind 'The'"),
    ],
)
def test_a_challenger_without_words_stays_out_even_where_nobody_serves(folder, smoke, said):
    scores = scores_of(0.02)
    challenge = folder(scores, smoke=smoke)
    assert decide(challenge, SETTINGS, 1).word == "keep"
    alone = PairedScores(**{**vars(scores), "champion": None})
    told = json.loads((challenge / "challenge.json").read_text())
    del told["models"]["champion"]
    (challenge / "challenge.json").write_text(json.dumps(told))
    write_scores(alone, challenge)
    decision = decide(challenge, SETTINGS, 1)
    assert (decision.word, decision.error_rate) == ("keep", 0)
    assert said in decision.sentence


def test_where_nobody_serves_a_model_that_writes_is_promoted(folder):
    alone = PairedScores(**{**vars(scores_of(-5.0)), "champion": None})
    decision = decide(folder(alone, slowdowns=()), SETTINGS, 1)
    assert decision.word == "promote"
    assert decision.sentence == ("promote: nobody serves yet; smoke generation: text behind all of 2 prompts")


def test_a_score_that_is_no_number_is_never_taken_for_a_good_one(folder):
    scores = scores_of(0.05)
    scores.challenger[3] = np.nan
    decision = decide(folder(scores), SETTINGS, 1)
    assert decision.word == "keep"
    assert "the challenger's score is not finite on 1 of 72 documents; it is broken" in decision.sentence
    json.dumps(decision.document(), allow_nan=False)


def test_a_broken_champion_is_not_compared_with(folder):
    scores = scores_of(0.05)
    scores.champion[3] = np.inf
    decision = decide(folder(scores), SETTINGS, 1)
    assert decision.word == "cannot tell"
    assert "it is broken: roll back, or promote by hand" in decision.sentence


@given(
    bits=st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=60),
    shift=st.floats(0, 1e4),
    looks=st.sampled_from([1, 52]),
)
@hypothesis_settings(max_examples=60)
def test_whatever_the_documents_a_challenger_with_no_lower_score_is_not_passed(bits, shift, looks):
    differences = np.array(bits)
    differences += max(0.0, -differences.mean()) + shift
    scores = scores_of(0, noise=differences)
    settings = SETTINGS.model_copy(update={"looks": looks})
    assert check_target(scores, "bits per byte", settings, 1).word != "passed"


def test_the_same_folder_gives_the_same_decision(folder):
    challenge = folder(scores_of(0.006))
    assert decide(challenge, SETTINGS, 1) == decide(challenge, SETTINGS, 1)


def test_a_test_set_begins_anew_when_more_than_half_of_it_is_new():
    before = [str(number) for number in range(10)]
    assert not begins_anew(before, before)
    assert not begins_anew(before, [str(number) for number in range(20)])
    assert begins_anew(before, [str(number) for number in range(21)])
    assert begins_anew(before, "abc")
    assert not begins_anew(before, [])


def test_draws_that_could_never_show_the_error_are_refused_in_words():
    with pytest.raises(ValidationError, match=r"cannot show the probability 0.00096 .* take 10400 or more"):
        GateConfig(num_resamples=5000)
    assert GateConfig(num_resamples=5000, looks=10).error_per_look == 0.005


def test_what_is_no_challenge_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no readable challenge\.json"):
        decide(tmp_path, SETTINGS, 1)
    (tmp_path / "challenge.json").write_text('{"kind": "nats", "metric": "", "models": {}}')
    with pytest.raises(ValueError, match=r"has no readable documents\.parquet"):
        decide(tmp_path, SETTINGS, 1)
