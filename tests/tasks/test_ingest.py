"""What DVC is to watch of a source."""

from lmcore.corpus.settings import Source
from tasks.artifacts import SourceFiles
from tasks.ingest import MOST_LISTED, _reads


def watched(root, number, *, name):
    files = {f"{each}.txt": "0" * 64 for each in range(number)}
    source = SourceFiles(str(root), "letters", "0" * 64, number, files=files, licence="my own")
    settings = Source(title="Letters", origin="my desk", licence="my own", reader="text")
    return _reads(
        {"files": source, "root": str(root), "source": settings, "name": name, "source_name": "letters"}
    )


def test_the_folder_is_watched_or_the_files_that_were_chosen_of_it(tmp_path):
    assert watched(tmp_path, 2, name="letters") == [tmp_path]
    assert watched(tmp_path, 2, name="letters-c0ffee") == [tmp_path / "0.txt", tmp_path / "1.txt"]


def test_of_very_many_chosen_files_the_folder_is_watched(tmp_path):
    assert watched(tmp_path, MOST_LISTED + 1, name="letters-c0ffee") == [tmp_path]


def test_a_folder_with_a_link_to_nothing_is_watched_file_by_file_or_not_at_all(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".#draft.txt").symlink_to("nobody@nowhere.1234")
    assert watched(tmp_path, 2, name="letters") == [tmp_path / "0.txt", tmp_path / "1.txt"]
    assert watched(tmp_path, MOST_LISTED + 1, name="letters") == []
