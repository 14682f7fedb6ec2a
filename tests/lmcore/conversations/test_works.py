import pytest

from lmcore.conversations.works import Works, readable_name, readable_names
from lmcore.corpus.document import Document


def documents(source, *files):
    return [Document(f"{source}/{file}#1", source, file, 1, "", "", "") for file in files]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pride_and_prejudice", "Pride and Prejudice"),
        ("king_james_bible", "King James Bible"),
        ("of_mice", "Of Mice"),
        ("jean-paul", "Jean Paul"),
        ("My Notes_2020", "My Notes 2020"),
        ("écume", "Écume"),
    ],
)
def test_names_become_readable(name, expected):
    assert readable_name(name) == expected


def test_endings_folders_and_numbers_that_sort_are_left_out():
    assert readable_names(["a/b/emma.txt.gz"]) == {"a/b/emma.txt.gz": "Emma"}
    assert readable_names(["01_genesis.txt", "09_1_samuel.txt"]) == {
        "01_genesis.txt": "Genesis",
        "09_1_samuel.txt": "1 Samuel",
    }
    assert readable_names(["1984.txt", "emma.md"]) == {"1984.txt": "1984", "emma.md": "Emma"}
    assert readable_names(["84_orwell.txt", "emma.txt"])["84_orwell.txt"] == "84 Orwell"


def test_a_source_of_few_files_has_a_work_a_file_and_one_of_many_is_one_work():
    novels = documents("austen", "emma.txt.gz", "persuasion.txt.gz")
    books = documents("king_james_bible", *(f"{number:02d}_book.txt" for number in range(13)))
    works = Works.of({"train": novels + books, "validation": novels + books})
    names = works.names()
    assert names["austen", "emma.txt.gz"] == "Emma"
    assert {name for (source, _), name in names.items() if source != "austen"} == {"King James Bible"}
    assert works.names(max_files=13)["king_james_bible", "03_book.txt"] == "Book"
    titles = {"king_james_bible": "The Bible", "emma.txt.gz": "Emma: A Novel"}
    assert works.names(titles=titles)["king_james_bible", "00_book.txt"] == "The Bible"
    assert works.names(titles=titles)["austen", "emma.txt.gz"] == "Emma: A Novel"


def test_files_that_stand_on_one_side_alone_are_no_works_of_their_own():
    letters = documents("my_letters", "a.txt", "b.txt", "c.txt")
    works = Works.of({"train": letters[:2], "test": letters[1:]})
    assert set(works.names().values()) == {"My Letters"}


def test_a_work_without_a_word_on_the_train_side_is_not_taught():
    train, later = documents("novels", "a.txt", "b.txt"), documents("novels", "a.txt", "b.txt", "c.txt")
    works = Works.of({"train": train, "test": later})
    assert set(works.names().values()) == {"A", "B", "C"}
    assert works.taught(works.names()) == {"A", "B"}


def test_a_source_of_one_file_is_called_as_the_file():
    novel = documents("austen", "emma.txt")
    assert Works.of({"train": novel}).names() == {("austen", "emma.txt"): "Emma"}
