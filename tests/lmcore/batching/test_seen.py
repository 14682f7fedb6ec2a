import pyarrow.parquet as pq
import pytest

from lmcore.batching.seen import FILE, read_seen, write_seen
from lmcore.tokenizers.texts import SIDES


def test_every_document_of_the_shards_is_remembered_with_its_side_and_no_text(
    small_corpus, small_shards, tmp_path
):
    write_seen(small_shards, tmp_path)
    found = read_seen(tmp_path)
    for side in SIDES:
        rows = pq.read_table(small_corpus / f"{side}.parquet").to_pylist()
        expected = [
            (row["digest"], side, row["source"], row["file"], row["line"], row["title"]) for row in rows
        ]
        assert [tuple(each) for each in found if each.side == side] == expected
    assert "text" not in pq.read_schema(tmp_path / FILE).names


def test_a_damaged_record_is_refused(small_shards, tmp_path):
    write_seen(small_shards, tmp_path)
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:100])
    with pytest.raises(ValueError, match="nobody knows what its model saw"):
        read_seen(tmp_path)
