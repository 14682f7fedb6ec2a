"""Schedules in experiment files: checked when read, never part of what is made."""

from pathlib import Path

import pytest

from lmcore.config import SettingsError
from tasks.engine.experiment import Experiment, load_experiment
from tasks.engine.schedule import Schedule


class Prepare(Experiment):
    sources: tuple[str, ...] = ("a",)
    seed: int = 0


def load(workspace, name: str, *overrides: str) -> Prepare:
    return load_experiment(workspace, "prepare", name, overrides, lambda _: Prepare)


@pytest.fixture
def write(workspace):
    def file(name: str, text: str) -> None:
        path: Path = workspace.root / "experiments" / "prepare" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return file


NIGHTLY = 'schedule: {cron: "0 3 * * *", timezone: Europe/Paris}\n'


def test_a_schedule_changes_neither_the_settings_nor_the_names_of_data(workspace, write):
    write("plain", "seed: 3\n")
    write("nightly", "seed: 3\n" + NIGHTLY)
    plain, nightly = load(workspace, "plain"), load(workspace, "nightly")
    assert nightly.schedule == Schedule(cron="0 3 * * *", timezone="Europe/Paris")
    assert "schedule" not in Prepare.settings()
    assert nightly.data_name(Prepare) == "nightly"
    assert load(workspace, "nightly", "seed=4").name[-6:] == load(workspace, "plain", "seed=4").name[-6:]
    assert plain.schedule is None


def test_what_extends_a_scheduled_experiment_is_not_scheduled_and_keeps_its_data(workspace, write):
    write("nightly", "seed: 3\n" + NIGHTLY)
    write("variant", "extends: nightly\n")
    write("weekly", 'extends: nightly\nschedule: {cron: "0 3 * * sun"}\n')
    assert load(workspace, "variant").schedule is None
    assert load(workspace, "weekly").schedule == Schedule(cron="0 3 * * sun", timezone="UTC")
    assert load(workspace, "weekly").data_name(Prepare) == "nightly"


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ('{cron: "0 25 * * *"}', "'25' is no hour; write a number from 0 to 23"),
        ('{cron: "0 3 * *"}', "is not the five fields"),
        ('{cron: "@daily"}', "is not the five fields"),
        ('{cron: "0 3 * * 5-1"}', "a range goes up"),
        ('{cron: "0 3 31 2,4 *"}', "never happens"),
        ('{cron: "0 3 * * *", timezone: Europe/Pariss}', "Did you mean 'Europe/Paris'?"),
        ('{crom: "0 3 * * *"}', "unknown setting 'schedule.crom'. Did you mean 'cron'?"),
        ("nightly", "schedule"),
    ],
)
def test_a_wrong_schedule_is_one_line_that_names_the_file(workspace, write, schedule, message):
    write("wrong", f"schedule: {schedule}\n")
    with pytest.raises(SettingsError) as refused:
        load(workspace, "wrong")
    assert message in str(refused.value)
    assert "experiments/prepare/wrong.yaml" in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_schedule_is_no_override(workspace, write):
    write("plain", "seed: 3\n")
    with pytest.raises(SettingsError, match="write it into the experiment's file"):
        load(workspace, "plain", 'schedule.cron="0 3 * * *"')


@pytest.mark.parametrize(
    "cron",
    ["* * * * *", "*/5 * * * *", "0 3 * * *", "30 6-18/3 * * mon-fri", "0 0 1,15 jan-jun *", "5 4 29 feb *",
     "0 0 * * 7", "60 * * * *", "0 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 8", "*/0 * * * *",
     "x * * * *", "0 0 1-32 * *", "0 0 * sep-jan-mar *", "-1 * * * *", "0,,1 * * * *"],
)  # fmt: skip
def test_what_we_take_for_a_cron_line_prefect_takes_too_and_no_other(cron):
    from prefect.client.schemas.schedules import CronSchedule

    assert accepts(lambda: Schedule(cron=cron)) == accepts(lambda: CronSchedule(cron=cron))


def accepts(make) -> bool:
    try:
        make()
    except ValueError:
        return False
    return True
