"""Whose word the state of `lm up` is."""

import json

from tasks.engine.locks import lock
from tasks.engine.supervisor import home_of, is_up, read_state
from tasks.engine.workspace import Workspace


def test_the_last_word_of_a_killed_supervisor_is_not_that_of_the_next(tmp_path):
    workspace = Workspace(tmp_path)
    home = home_of(workspace)
    said = {"pid": 1, "ready": True, "prefect": "http://127.0.0.1:1/api"}
    (home / "state.json").write_text(json.dumps(said))
    with lock(home / "up.lock"):
        assert is_up(workspace)
        assert read_state(workspace) == {}
        with lock(home / "state.lock"):
            assert read_state(workspace) == said
    assert not is_up(workspace)
    assert read_state(workspace) == {}
