"""`lm up`: flows are started from Prefect's pages, from afar and by the clock, on servers that stay."""

import json
import os
import re
import signal
import socket
import sqlite3
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest
from pages import choose, field, is_sent, shoot
from served import PATIENCE_SECONDS, Servers, free_ports, wait_for

from flows.cli.catalog import flow_names
from tasks.engine.locks import lock
from tasks.engine.prefect_api import ENDED, UNDER_WAY

EACH_MINUTE = 'extends: tiny\nsplit: {seed: 3}\nschedule: {cron: "* * * * *", timezone: Europe/Paris}\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory, workspace_at):
    lm = workspace_at(tmp_path_factory.mktemp("served") / "workspace")
    (lm.workspace / "experiments" / "train_tokenizer").mkdir()
    (lm.workspace / "experiments" / "train_tokenizer" / "each_minute.yaml").write_text(EACH_MINUTE)
    servers = Servers(lm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LM_SLOTS", str(lm.workspace / "slots"))  # not to wait for others on this machine
        with ExitStack() as servers.busy:
            # As if a run of the experiment with a clock were going on already.
            servers.busy.enter_context(lock(lm.workspace / ".lm" / "up" / "each_minute.run"))
            try:
                servers.said = servers.up()
                yield servers
            finally:
                lm("down")


def test_up_returns_with_addresses_that_answer_and_a_second_one_says_so(served):
    addresses = re.findall(r"http://\S+", served.said)
    assert {f":{port}" in " ".join(addresses) for port in served.ports} == {True}
    assert f"{len(flow_names())} flows over 2 experiments" in served.said
    again = served.up()
    assert "up already" in again
    assert set(re.findall(r"http://\S+", again)) <= set(addresses)


def test_a_flow_started_from_afar_is_the_same_run_as_one_in_a_terminal(served):
    lm = served.lm
    first = lm("run", "prepare_corpus", "tiny", "--remote")
    assert "lm prepare_corpus tiny" in first
    assert "split_corpus tiny: built" in first
    assert "corpus: 40 train" in first
    digests = lm.digests()
    assert "nothing to make" in lm("prepare_corpus", "tiny")
    again = lm("run", "prepare_corpus", "tiny", "--remote")
    assert again.count(": reused") == 7
    assert lm.digests().items() >= digests.items()
    with sqlite3.connect(lm.workspace / "mlflow.db") as database:
        parents = database.execute(
            "SELECT status, value FROM runs JOIN tags USING (run_uuid) "
            "WHERE name LIKE 'tiny %' AND key = 'lm.prefect_run'"
        ).fetchall()
    # What reuses everything keeps no books, here as in a terminal.
    assert [status for status, _ in parents] == ["FINISHED"]
    assert parents[0][1] in {run["id"] for run in served.runs(flow="prepare_corpus")}


def test_a_run_in_a_terminal_uses_the_servers_that_are_up(served):
    output = served.lm("run", "write_shards", "tiny")
    assert "built" in output
    assert "write_shards tiny" in output
    finished = served.api.runs(("COMPLETED",), deployment_id={"is_null_": True})
    assert len(finished) == 1
    assert "write_shards" in served.lm("status")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prepare_corpus", "tini"), "Did you mean 'tiny'?"),
        (("prepare_corpuss", "tiny"), "Did you mean 'prepare_corpus'?"),
        (("prepare_corpus", "tiny", "split.tests=0.1"), "unknown setting 'split.tests'"),
        (("prepare_corpus", "tiny", "split.seed"), "write setting=value"),
        (("prepare_corpus", "tiny", "--force", "bake"), "no step named 'bake'"),
        (("prepare_corpus", "tiny", "--until", "split_corpus"), "--remote knows --force only"),
    ],
)
def test_a_wrong_request_from_afar_is_refused_in_one_line_before_anything_starts(served, arguments, message):
    before = asked_for(served)
    output = served.lm("run", *arguments, "--remote", code=2)
    assert message in output
    assert len(output.strip().splitlines()) == 1
    assert asked_for(served) == before


def asked_for(served) -> list[str]:
    runs = served.runs(("SCHEDULED", *UNDER_WAY, *ENDED))
    return sorted(run["id"] for run in runs if not run["auto_scheduled"])


def test_without_servers_a_request_from_afar_is_refused_and_down_has_nothing_to_do(fresh):
    output = fresh("run", "prepare_corpus", "tiny", "--remote", code=2)
    assert output == "lm: no server is up that takes runs; start it: lm up\n"
    assert fresh("down") == "nothing is up\n"
    assert "no servers are up" in fresh("status")


def test_a_taken_port_is_one_line_and_nothing_starts(fresh):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        (other,) = free_ports(1)
        for option, its in (("--prefect-port", "--mlflow-port"), ("--mlflow-port", "--prefect-port")):
            output = fresh("up", option, port, its, other, code=2)
            assert f"port {port} is taken by another program" in output
            assert len(output.strip().splitlines()) == 1
        output = fresh("up", "--prefect-port", port, "--mlflow-port", port, code=2)
        assert output == f"lm: Prefect and MLflow cannot both have port {port}; give each one of its own\n"
    assert not (fresh.workspace / ".lm" / "prefect" / "server.json").exists()


def test_an_experiment_that_is_written_now_can_be_chosen_at_once(served):
    file = served.lm.workspace / "experiments" / "prepare_corpus" / "later.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text("extends: tiny\nsplit: {seed: 7}\n")
    output = served.lm("run", "prepare_corpus", "later", "--remote", "--no-wait")
    assert "/runs/flow-run/" in output
    choices = served.api.deployment("prepare_corpus")["parameter_openapi_schema"]["properties"]["experiment"]
    assert choices["enum"] == ["each_minute", "later", "tiny"]
    file.write_text("split: {seed: x}\n")
    wait_for(lambda: "left out" in served.lm("status"))
    file.unlink()


def test_the_clock_passes_over_a_run_while_the_one_before_goes_on(served):
    run = wait_for(lambda: served.by_the_clock("train_tokenizer", "Skipped"))[0]
    assert run["state"]["message"] == "another run of this experiment is still going on"
    assert not list(served.lm.workspace.glob("data/*/each_minute"))
    served.busy.close()


def test_cancelling_stops_training_in_a_sweep_too_and_keeps_its_checkpoint(served):
    follower = served.lm.start("run", "pretrain", "tiny", *long(1), "train.batch_size=4,8", "--remote")
    run, scratch = wait_for(lambda: training(served, 1))
    served.api.set_state(run["id"], "CANCELLING", "")  # as the page's button does
    out, errors = follower.communicate(timeout=PATIENCE_SECONDS)
    assert follower.returncode == 128 + signal.SIGTERM, out + errors
    assert "cancelled" in errors
    assert list(scratch.glob("resume/*"))
    with sqlite3.connect(served.lm.workspace / "mlflow.db") as database:
        states = database.execute("SELECT status FROM runs WHERE name LIKE 'pretrain_model%'").fetchall()
    assert states
    assert set(states) == {("KILLED",)}


def long(seed: int) -> tuple[str, ...]:
    """A training that lasts until somebody stops it; each seed has its own."""
    return "train.steps=100000", "train.validate_every=10000", f"train.seed={seed}"


def training(served, seed: int) -> tuple[dict, Path] | None:
    """The run that trains now with this seed and its scratch folder, once it has done a step."""
    for request in served.lm.workspace.glob(".lm/scratch/pretrain_model-*/log/request.json"):
        scratch = request.parents[1]
        if json.loads(request.read_text())["train"]["seed"] == seed and (scratch / "metrics.jsonl").exists():
            return served.runs(("RUNNING",), "pretrain")[0], scratch
    return None


def test_a_killed_run_is_marked_as_crashed(served):
    output = served.lm("run", "pretrain", "tiny", *long(1), "--remote", "--no-wait")
    run_id = output.strip().rpartition("/")[2]
    label = wait_for(lambda: served.api.run(run_id)["labels"].get("lm.process"))
    os.kill(int(label.partition(":")[0]), signal.SIGKILL)
    run = wait_for(lambda: (run := served.api.run(run_id))["state_type"] in ENDED and run)
    assert run["state_type"] == "CRASHED"


def test_the_form_on_prefects_page_starts_a_run_that_is_that_of_the_command_line(served, browser):
    deployment = served.api.deployment("train_tokenizer")
    browser.get(f"{served.api.pages}/deployments/deployment/{deployment['id']}/run")
    choose(browser, "experiment", "tiny")
    vocabulary = field(browser, "tokenizer.vocab_size")
    assert vocabulary.get_attribute("min") == "264"
    assert "one for each merge, word or character learned" in browser.find_element("tag name", "form").text
    vocabulary.send_keys("300")
    shoot(browser, "form")
    wait_for(lambda: is_sent(browser))
    run = wait_for(lambda: [run for run in served.runs(flow="train_tokenizer") if is_filled_in(run)])[0]
    assert run["state_type"] == "COMPLETED"
    browser.get(served.api.page_of(run["id"]))
    for text in ("Completed", "lm train_tokenizer tiny tokenizer.vocab_size=300"):
        browser.find_element("xpath", f"//*[contains(normalize-space(), '{text}')]")
    shoot(browser, "run")
    assert "nothing to make" in served.lm("train_tokenizer", "tiny", "tokenizer.vocab_size=300")


def is_filled_in(run: dict) -> bool:
    return run["parameters"].get("tokenizer_vocab_size") == 300


def test_the_clock_starts_a_run_and_status_tells_of_it(served):
    run = wait_for(lambda: served.by_the_clock("train_tokenizer", "Completed"))[0]
    assert run["parameters"]["experiment"] == "each_minute"
    assert datetime.fromisoformat(run["start_time"]) >= datetime.fromisoformat(run["expected_start_time"])
    status = served.lm("status")
    assert "each_minute: * * * * * Europe/Paris" in status
    assert f"http://127.0.0.1:{served.ports[0]}" in status
    assert f"http://127.0.0.1:{served.ports[1]}" in status


def test_what_the_clock_no_longer_says_is_no_longer_scheduled(served):
    file = served.lm.workspace / "experiments" / "train_tokenizer" / "each_minute.yaml"
    file.write_text("extends: tiny\n")
    wait_for(lambda: not served.api.deployment("train_tokenizer")["schedules"])


def test_a_killed_supervisor_takes_all_with_it_and_is_no_obstacle_to_the_next(served):
    served.lm("run", "pretrain", "tiny", *long(3), "--remote", "--no-wait")
    run, _ = wait_for(lambda: training(served, 3))
    os.kill(served.state()["pid"], signal.SIGKILL)
    wait_for(lambda: not served.processes())
    served.stay_up()
    assert served.api.run(run["id"])["state_type"] == "CRASHED"
    assert re.search(rf"{run['name']} +crashed", served.lm("status"))


def test_down_tells_a_run_in_progress_which_keeps_its_checkpoint_and_leaves_nothing(served):
    served.lm("run", "pretrain", "tiny", *long(2), "--remote", "--no-wait")
    run, scratch = wait_for(lambda: training(served, 2))
    output = served.lm("down")
    assert f"1 run in progress, which may save its state first: {run['name']}" in output
    assert list(scratch.glob("resume/*"))
    out, errors = served.in_foreground.communicate(timeout=PATIENCE_SECONDS)
    assert (served.in_foreground.returncode, errors) == (0, "")
    assert out.endswith("stopped\n")
    wait_for(lambda: not served.processes())
