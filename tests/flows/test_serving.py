"""`lm up`: flows are started from Prefect's pages, from afar and by the clock, on servers that stay."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import pytest

from flows.cli.catalog import flow_names
from tasks.engine.locks import lock
from tasks.engine.prefect_api import ENDED, UNDER_WAY, PrefectApi
from tasks.engine.supervisor import read_state
from tasks.engine.workspace import Workspace

PATIENCE_SECONDS = 100
EACH_MINUTE = 'extends: tiny\nsplit: {seed: 3}\nschedule: {cron: "* * * * *", timezone: Europe/Paris}\n'


def wait_for(what, seconds=PATIENCE_SECONDS):
    """What a function gives as soon as it gives something; slow machines are no failure."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)
    return found


def free_ports(number: int) -> list[str]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Servers:
    """A workspace with `lm up`."""

    def __init__(self, lm) -> None:
        self.lm = lm
        self.ports = free_ports(2)

    def up(self) -> str:
        return self.lm("up", "--prefect-port", self.ports[0], "--mlflow-port", self.ports[1])

    def stay_up(self) -> None:
        """The same in a terminal of its own."""
        ports = ("--prefect-port", self.ports[0], "--mlflow-port", self.ports[1])
        self.in_foreground = self.lm.start("up", "--foreground", *ports)
        wait_for(lambda: self.state().get("ready"))

    @property
    def api(self) -> PrefectApi:
        return PrefectApi(self.state()["prefect"])

    def state(self) -> dict:
        return read_state(Workspace(self.lm.workspace))

    def runs(self, states=ENDED, flow: str | None = None) -> list[dict]:
        """Runs that were started through deployments, of one flow."""
        flows = {row["id"]: row["name"] for row in self.api.ask("/flows/filter", {})}
        runs = self.api.runs(states, deployment_id={"is_null_": False})
        return [run for run in runs if flow in (None, flows[run["flow_id"]])]

    def by_the_clock(self, state: str) -> list[dict]:
        """Runs that a schedule has started, which ended so."""
        runs = self.runs(flow="train_tokenizer")
        return [run for run in runs if run["auto_scheduled"] and run["state_name"] == state]

    def processes(self) -> list[int]:
        """All that work for this workspace, found by the environment that they were started with."""
        mine = f"LM_WORKSPACE={self.lm.workspace}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mine in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return [pid for pid in found if pid != os.getpid()]


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
    assert again.count(": reused") == 6
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
        for option in ("--prefect-port", "--mlflow-port"):
            output = fresh("up", option, port, code=2)
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
    run = wait_for(lambda: served.by_the_clock("Skipped"))[0]
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
    assert "one for each merge that is learned" in browser.find_element("tag name", "form").text
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


def is_sent(browser) -> bool:
    """Submits the form, once more if the server was too busy; it leaves the page when it is taken."""
    browser.find_element("css selector", "button[type=submit]").click()
    until = time.monotonic() + 5
    while (is_here := browser.current_url.endswith("/run")) and time.monotonic() < until:
        time.sleep(0.1)
    return not is_here


def is_filled_in(run: dict) -> bool:
    return run["parameters"].get("tokenizer_vocab_size") == 300


def test_the_clock_starts_a_run_and_status_tells_of_it(served):
    run = wait_for(lambda: served.by_the_clock("Completed"))[0]
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


def shoot(browser, name: str) -> None:
    """A picture, where somebody wants to look at it."""
    if folder := os.environ.get("LM_SHOTS"):
        time.sleep(3)
        browser.save_screenshot(f"{folder}/{name}.png")


@pytest.fixture
def browser(tmp_path):
    """Chromium without a window."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-dev-shm-usage", "--window-size=1400,1300", f"--user-data-dir={tmp_path / 'chromium'}",
    ):  # fmt: skip
        options.add_argument(argument)
    driven = webdriver.Chrome(options=options, service=Service(driver))
    driven.implicitly_wait(30)
    yield driven
    driven.quit()


def field(browser, title: str):
    """The input under a title of the form."""
    label = browser.find_element("xpath", f"//form//label[starts-with(normalize-space(), '{title}')]")
    return browser.find_element("id", label.get_attribute("for"))


def choose(browser, title: str, choice: str) -> None:
    field(browser, title).click()
    browser.find_element("xpath", f"//*[@role='option' and normalize-space()='{choice}']").click()
