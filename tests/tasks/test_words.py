from tasks.words import mixture, times


def test_a_mixture_is_told_source_by_source():
    facts = {
        "tokens": 400,
        "songs_tokens": 300,
        "songs_epochs": 1.234,
        "tales_tokens": 100,
        "tales_epochs": 0.031,
    }
    assert mixture(facts) == "songs 75.0%, 1.2 epochs; tales 25.0%, 0.031 epochs"
    assert mixture({"tokens": 400, "epochs": 2.0}) == ""


def test_epochs_have_as_many_digits_as_help():
    assert [times(number) for number in (0.0312, 1.26, 12.4, 1234.0)] == ["0.031", "1.3", "12", "1,234"]
