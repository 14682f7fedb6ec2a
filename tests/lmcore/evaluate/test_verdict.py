import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmcore.evaluate.verdict import compare_reports

BITS = np.array([100.0, 200.0, 300.0, 150.0, 250.0] * 10)
BYTES = np.array([50, 100, 160, 70, 120] * 10)


@pytest.fixture
def report(tmp_path):
    """report(name, bits) makes the folder of an evaluation with these bits per document."""

    def make(name, bits, num_bytes=BYTES, side="test", order=None):
        folder = tmp_path / name
        folder.mkdir()
        rows = order if order is not None else range(len(bits))
        columns = {
            "digest": [f"d{row}" for row in rows],
            "nats": [float(bits[row]) * math.log(2) for row in rows],
            "bytes": [int(num_bytes[row]) for row in rows],
        }
        pq.write_table(pa.table(columns), folder / "documents.parquet")
        (folder / "scores.json").write_text(json.dumps({"definition": {"side": side}}))
        return folder

    return make


def test_a_model_that_needs_fewer_bits_everywhere_is_better_and_the_other_worse(report):
    one, other = report("one", BITS * 0.9), report("other", BITS)
    verdict = compare_reports(one, other)
    assert verdict.word == "better"
    assert verdict.difference.value == pytest.approx(-0.1 * BITS.sum() / BYTES.sum())
    assert verdict.sentence.startswith("better: 1.8000 against 2.0000 bits per byte (-0.2000, 95 % -0.20")
    assert verdict.sentence.endswith("over 50 documents, one training run each)")
    assert compare_reports(other, one).word == "worse"


def test_a_difference_within_the_noise_cannot_be_told_but_how_many_would_tell_is(report):
    noise = np.random.RandomState(0).normal(0, 30, size=50)
    noise -= noise.mean() + 2
    verdict = compare_reports(report("one", BITS + noise), report("other", BITS))
    assert verdict.word == "cannot tell"
    assert 5 * 50 < verdict.documents_needed < 30 * 50
    assert f"needs about {verdict.documents_needed} documents" in verdict.sentence


def test_a_model_against_itself_cannot_be_told(report):
    verdict = compare_reports(report("one", BITS), report("other", BITS))
    assert (verdict.word, tuple(verdict.difference), verdict.documents_needed) == (
        "cannot tell",
        (0, 0, 0),
        None,
    )


def test_the_order_of_documents_does_not_matter(report):
    other = report("other", BITS)
    forward, backward = report("one", BITS * 0.99), report("two", BITS * 0.99, order=range(49, -1, -1))
    assert compare_reports(forward, other) == compare_reports(backward, other)


def test_one_document_alone_tells_nothing(report):
    verdict = compare_reports(report("one", BITS[:1]), report("other", BITS[:1] * 2))
    assert verdict.sentence == "cannot tell: 2.0000 against 4.0000 bits per byte on one document alone"


def test_reports_on_other_documents_are_refused(report):
    with pytest.raises(ValueError, match=r"scores 50 documents, .* 40, 40 of them the same"):
        compare_reports(report("one", BITS), report("other", BITS[:40]))


def test_reports_with_another_definition_are_refused(report):
    with pytest.raises(ValueError, match="do not compare: side is 'test' and 'validation'"):
        compare_reports(report("one", BITS), report("other", BITS, side="validation"))


def test_a_folder_that_is_no_report_is_refused(report, tmp_path):
    with pytest.raises(ValueError, match=r"has no readable scores.json"):
        compare_reports(report("one", BITS), tmp_path)
