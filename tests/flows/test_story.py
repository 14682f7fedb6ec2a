"""A model's life with real servers: started from a page, watched, trained again, judged, rolled back."""

import time
from pathlib import Path

import pytest
from letters import FEW, MANY, describe, write_letters
from pages import choose, is_sent, shoot
from served import Servers, wait_for

from tasks.tracking.versions import aliases_of

EACH_MINUTE = 'watch: {schedule: {cron: "* * * * *", timezone: Europe/Paris}}\n'


@pytest.fixture
def servers(workspace_at, tmp_path, monkeypatch):
    lm = workspace_at(tmp_path / "workspace")
    monkeypatch.setenv("LM_SLOTS", str(tmp_path / "slots"))
    servers = Servers(lm)
    (lm.workspace / "letters").mkdir()
    write_letters(lm.workspace / "letters", range(110))
    describe(lm, Path("letters"), FEW)
    try:
        servers.up()
        yield servers
    finally:
        lm("down")


def ended(servers, flow: str, wanted) -> dict:
    """The first run of a flow that ended and is wanted; it has to have come to its end well."""
    run = wait_for(lambda: next(filter(wanted, servers.runs(flow=flow)), None), seconds=240)
    assert run["state_type"] == "COMPLETED", run["state"]
    return run


def log(servers, run: dict) -> str:
    """What a run has said; its lines come to the server in batches, some after it has ended."""
    before, lines = None, []
    while before != lines or not lines:
        before, lines = lines, [line["message"] for line in servers.api.log_lines(run["id"], 0)]
        time.sleep(3)
    return "\n".join(lines)


@pytest.mark.timeout(900)
def test_a_model_is_kept_up_to_date_by_what_lm_up_serves(servers, browser):
    lm = servers.lm

    # Somebody starts the first release from Prefect's page.
    deployment = servers.api.deployment("release")
    browser.get(f"{servers.api.pages}/deployments/deployment/{deployment['id']}/run")
    choose(browser, "experiment", "letters")
    wait_for(lambda: is_sent(browser))
    by_hand = ended(servers, "release", lambda run: True)
    assert "nobody serves yet" in log(servers, by_hand)
    assert aliases_of(lm.workspace, "letters") == {"champion": 1}

    # Ten letters come. The clock looks, and the event starts the second release.
    write_letters(lm.workspace / "letters", range(110, 120))
    describe(lm, Path("letters"), MANY, EACH_MINUTE)
    looked = ended(servers, "watch", lambda run: run["auto_scheduled"] and "10 new" in log(servers, run))
    assert "enough to train again" in log(servers, looked)
    assert "asked for a retraining" in log(servers, looked)
    again = ended(servers, "release", lambda run: run["id"] != by_hand["id"])
    told = log(servers, again)
    for step in ("ingest_source letters", "split_corpus letters"):
        assert f"{step}: reused" in told, "what the watch has made of the letters"
    for step in ("train_tokenizer", "pretrain_model", "judge_challenger"):
        assert f"{step} letters: built" in told
    assert "promote: " in told
    assert aliases_of(lm.workspace, "letters") == {"champion": 2, "previous": 1}

    # The same data is not trained on twice.
    later = ended(servers, "watch", lambda run: run["expected_start_time"] > looked["expected_start_time"])
    assert "asked for a retraining" not in log(servers, later)

    # From the model's page in MLflow one click leads to where it comes from.
    browser.get(f"http://127.0.0.1:{servers.ports[1]}/#/models/letters/versions/2")
    browser.find_element("partial link text", "Where this model comes from").click()
    wait_for(lambda: len(browser.window_handles) == 2)
    browser.switch_to.window(browser.window_handles[1])
    browser.switch_to.frame(browser.find_element("css selector", "iframe#html"))
    assert browser.find_elements("css selector", ".graph a")
    assert "letter_119.txt" in browser.find_element("tag name", "body").get_attribute("textContent")
    shoot(browser, "lineage")

    # It disappoints, and the one before serves again.
    lm("rollback", "letters", "--why", "it writes letters to nobody")
    assert aliases_of(lm.workspace, "letters")["champion"] == 1
    assert "it writes letters to nobody" in lm("history", "letters")
