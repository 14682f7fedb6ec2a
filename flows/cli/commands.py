"""One command per flow, and the few that look at what flows made. Heavy imports wait inside the commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.catalog import flow_names
from flows.cli.data import data_app, trace

app = typer.Typer(
    name="lm",
    help="Turns text into language models, reproducibly.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

if TYPE_CHECKING:
    from tasks.engine.run import Options

ExperimentName = Annotated[str, typer.Argument(help="An experiment of this workspace, such as demo or tiny.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings to change, such as train.steps=100.", show_default=False)
]
Force = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="STEP", help="Make this step's product again.", show_default=False),
]
Start = Annotated[
    str | None,
    typer.Option("--from", metavar="STEP", help="Make this step and all after it again.", show_default=False),
]
Until = Annotated[str | None, typer.Option(metavar="STEP", help="End after this step.", show_default=False)]
Verify = Annotated[bool, typer.Option("--verify", help="Hash every byte, also of files that look untouched.")]
Refresh = Annotated[
    bool, typer.Option("--refresh", help="Make again what other versions of torch and the like have made.")
]
AcceptCode = Annotated[
    bool,
    typer.Option(
        "--accept-code", help="Where only code changed, replay it: if the bytes are equal, accept it."
    ),
]
Product = Annotated[
    str,
    typer.Argument(
        help="A registered NAME@ALIAS or NAME@vN, an experiment, an address, or digits of a digest or key.",
    ),
]
Trust = Annotated[bool, typer.Option("--trust", help="With --accept-code: accept it without a replay.")]


def check_command(arguments: Sequence[str], group: typer.Typer = app) -> None:
    """Refuse a command that there is none of.

    Raises:
        SettingsError: with the likeliest one that was meant.
    """
    known = [each.name or each.callback.__name__ for each in group.registered_commands if each.callback]
    groups = {each.name: each.typer_instance for each in group.registered_groups if each.name}
    name = arguments[0] if arguments else "-"
    if not name.startswith("-") and name not in (*known, *groups):
        from lmcore.config import SettingsError, did_you_mean

        raise SettingsError(f"no command named '{name}'.{did_you_mean(name, [*known, *groups])}")
    if inner := groups.get(name):
        check_command(arguments[1:], inner)


def _run_command(name: str) -> Callable[..., None]:
    def run(
        experiment: ExperimentName,
        overrides: Overrides = None,
        force: Force = None,
        start: Start = None,
        until: Until = None,
        verify: Verify = False,
        refresh: Refresh = False,
        accept_code: AcceptCode = False,
        trust: Trust = False,
    ) -> None:
        from flows.cli.running import run_command

        options = _options(force, start, until, verify, refresh)
        _accept(name, experiment, overrides or [], options, accept_code, trust)
        run_command(name, experiment, overrides or [], options)

    return run


for _name, _arrows in flow_names().items():
    if _name == "watch":  # has options of its own
        continue
    app.command(_name, help=_arrows, rich_help_panel="Flows")(_run_command(_name))


@app.command(rich_help_panel="Flows", help=flow_names()["watch"])
def watch(
    experiment: ExperimentName,
    once: Annotated[bool, typer.Option("--once", help="Look once; else until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="How often to look.")] = 60,
) -> None:
    """Look whether the data changed since the champion was trained, and start a release if it did enough."""
    from flows.cli.watching import watch_command

    watch_command(experiment, once, every)


@app.command()
def plan(
    flow: Annotated[str, typer.Argument(help="A flow, such as build_assistant.")],
    experiment: ExperimentName,
    overrides: Overrides = None,
    force: Force = None,
    start: Start = None,
    until: Until = None,
    verify: Verify = False,
    refresh: Refresh = False,
    accept_code: AcceptCode = False,
    trust: Trust = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Train ten steps first, to predict the time better.")
    ] = False,
) -> None:
    """Show what a run would do and why, and what it would cost; nothing is run."""
    from flows.cli.running import plan_command

    options = _options(force, start, until, verify, refresh)
    _accept(flow, experiment, overrides or [], options, accept_code, trust)
    plan_command(flow, experiment, overrides or [], options, probe)


@app.command()
def generate(
    model: Annotated[
        str, typer.Argument(help="An experiment, a registered NAME@ALIAS or NAME@vN, or a folder.")
    ],
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What the model goes on from.")] = "",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="How many tokens to write at most.")] = 100,
    temperature: Annotated[
        float, typer.Option(min=0, help="0: always the likeliest token; higher: more varied.")
    ] = 0.0,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Only the k likeliest tokens.", show_default=False)
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(min=0.000001, max=1, help="Only the likeliest tokens of this mass.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another text (with a temperature).")] = 0,
    chat: Annotated[bool, typer.Option("--chat", help="Answer the prompt as a question (ChatML).")] = False,
) -> None:
    """Let a model write."""
    from flows.cli.models import generate_command

    generate_command(model, prompt, max_new_tokens, temperature, top_k, top_p, seed, chat)


@app.command("list")
def list_products() -> None:
    """List all products and registered models."""
    from flows.cli.products import list_command

    list_command()


@app.command()
def status() -> None:
    """Show what is served, scheduled and running now, and what ran last."""
    from flows.cli.products import status_command

    status_command()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The new workspace.")],
    texts: Annotated[
        Path | None,
        typer.Option("--texts", help="A folder of your .txt files to learn from.", show_default=False),
    ] = None,
) -> None:
    """Make a workspace for your own texts."""
    from flows.cli.workspaces import init_command

    init_command(folder, texts)


@app.command()
def add(
    place: Annotated[str, typer.Argument(help="A file, a folder, or an address such as s3://bucket/folder.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What to call the source.", show_default=False)
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", help="Why the texts may be used, such as 'CC BY 4.0'.", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write it without asking.")] = False,
) -> None:
    """Look at a pile of texts, guess how to read it, and describe it as a source."""
    from flows.cli.adding import add_command

    add_command(place, name, licence, yes)


@app.command()
def push(
    experiments: Annotated[
        list[str] | None,
        typer.Argument(help="What these have made, and all behind it; else all.", show_default=False),
    ] = None,
) -> None:
    """Bring products into DVC's default remote, where other workspaces find them."""
    from flows.cli.remote import push_command

    push_command(experiments or [])


@app.command()
def pull(
    flow: Annotated[str, typer.Argument(help="A flow, such as build_assistant.")],
    experiment: ExperimentName,
    overrides: Overrides = None,
) -> None:
    """Restore what DVC's default remote has of a flow's products; nothing is run."""
    from flows.cli.remote import pull_command

    pull_command(flow, experiment, overrides or [])


@app.command()
def run(
    flow: Annotated[str, typer.Argument(help="A flow, such as build_assistant.")],
    experiment: ExperimentName,
    overrides: Overrides = None,
    force: Force = None,
    start: Start = None,
    until: Until = None,
    verify: Verify = False,
    refresh: Refresh = False,
    remote: Annotated[
        bool, typer.Option("--remote", help="Hand it to what `lm up` serves, and follow it to its end.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="With --remote: follow it, or return at once.")
    ] = True,
) -> int:
    """Run a flow: here, which is what `lm FLOW` does, or on the server that `lm up` serves."""
    options = _options(force, start, until, verify, refresh)
    if remote:
        from flows.cli.remote_runs import remote_command

        return remote_command(flow, experiment, overrides or [], options, wait)
    if not wait:
        from lmcore.config import SettingsError

        raise SettingsError("--no-wait goes with --remote: a run in this terminal lasts as long as it does")
    from flows.cli.running import run_command

    run_command(flow, experiment, overrides or [], options)
    return 0


@app.command()
def up(
    prefect_port: Annotated[int, typer.Option(min=1, max=65535, help="Where Prefect listens.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(min=1, max=65535, help="Where MLflow listens.")] = 5000,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in this terminal until Ctrl-C.")
    ] = False,
) -> None:
    """Serve the pages of Prefect, from which flows are started, and of MLflow; keep to schedules."""
    from flows.cli.serving import up_command

    up_command(prefect_port, mlflow_port, foreground)


@app.command()
def down() -> None:
    """Stop what `lm up` has started; runs in progress save their state first."""
    from flows.cli.serving import down_command

    down_command()


@app.command("prune")
def prune_products(
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0, help="Keep what a run made or used in so many days.")
    ] = 14,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
) -> None:
    """Remove products, copies and leftovers that nobody can reach any more."""
    from flows.cli.upkeep import prune_command

    prune_command(older_than, dry_run)


@app.command()
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="With --fix: also give up work that could be gone on with.")
    ] = False,
    verify: Verify = False,
) -> None:
    """Find what a kill or a full disk has left, and say how to mend it."""
    from flows.cli.upkeep import doctor_command

    doctor_command(fix, everything, verify)


@app.command("rollback")
def roll_back(
    model: Annotated[str, typer.Argument(help="A registered model, such as demo.")],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="vN", help="This version, whatever it was.", show_default=False),
    ] = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="For the journal.")] = "",
) -> None:
    """Go back to the champion before this one; again: further back."""
    from flows.cli.releases import rollback_command

    rollback_command(model, to, why)


@app.command()
def history(
    model: Annotated[str, typer.Argument(help="A registered model, such as demo.")],
) -> None:
    """Show who moved a model's aliases, when and why, and what was decided."""
    from flows.cli.releases import history_command

    history_command(model)


@app.command()
def lineage(
    model: Product,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", help="As a page with a graph and a search.", show_default=False
        ),
    ] = None,
    is_opened: Annotated[bool, typer.Option("--open", help="The page, in your browser.")] = False,
    openlineage: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="As OpenLineage events (JSON lines).", show_default=False),
    ] = None,
    cyclonedx: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="As a CycloneDX bill of materials (JSON).", show_default=False),
    ] = None,
) -> None:
    """Show what a model was made from, down to each source file."""
    from flows.cli.lineage import lineage_command

    lineage_command(model, as_json, html, is_opened, openlineage, cyclonedx)


@app.command()
def diff(
    was: Product,
    now: Product,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    is_full: Annotated[bool, typer.Option("--all", help="List every detail.")] = False,
) -> None:
    """Say what differs between two models: data, settings, code, libraries, scores."""
    from flows.cli.lineage import diff_command

    diff_command(was, now, as_json, is_full)


@app.command()
def explain(product: Product) -> None:
    """Say of a product what it is, how it was made, what it cost, who uses it, and whether it is intact."""
    from flows.cli.lineage import explain_command

    explain_command(product)


@app.command("who-saw")
def who_saw(
    file: Annotated[str, typer.Argument(help="A source's file: its path, or SOURCE/FILE.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
) -> None:
    """Show every product and model that comes from a file, by its path and by its bytes."""
    from flows.cli.forgetting import who_saw_command

    who_saw_command(file, as_json)


@app.command()
def cost(
    product: Annotated[
        str | None,
        typer.Argument(
            help="A registered NAME@ALIAS with all behind it, or an experiment; else everything here.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show what was spent, step by step: time, processor, GPU, tokens, memory; and what reuse saved."""
    from flows.cli.costs import cost_command

    cost_command(product)


@app.command()
def du() -> None:
    """Show where the bytes of this workspace are, and what `lm prune` would free."""
    from flows.cli.costs import usage_command

    usage_command()


@app.command()
def card(
    model: Annotated[str, typer.Argument(help="A registered NAME@ALIAS or NAME@vN.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there.", show_default=False)
    ] = None,
) -> None:
    """Write a model's card: what it is, was made from, is worth, cost, and what it is not for (Markdown)."""
    from flows.cli.cards import card_command

    card_command(model, out)


@app.command()
def forget(
    file: Annotated[str, typer.Argument(help="A source's file: its path, or SOURCE/FILE.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="For the record.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    is_agreed: Annotated[
        bool, typer.Option("--yes", help="Do not ask; a file in data/sources goes as well.")
    ] = False,
    keep_file: Annotated[
        bool, typer.Option("--keep-file", help="Leave the file itself in data/sources.")
    ] = False,
    in_remote: Annotated[
        bool, typer.Option("--remote", help="Delete it in DVC's default remote too, for all who use that.")
    ] = False,
    is_retiring: Annotated[
        bool, typer.Option("--retire", help="Take away the weights that learned from it as well.")
    ] = False,
) -> None:
    """Never read a file again, and remove all that holds its text; weights stay, and are marked."""
    from flows.cli.forgetting import forget_command

    forget_command(file, why, dry_run, is_agreed, keep_file, is_retiring, in_remote)


@app.command("export-shards")
def export_shards(
    name: Annotated[str, typer.Argument(help="Shards as data/shards has them, or their folder.")],
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    format: Annotated[
        str, typer.Option("--format", help="megatron: <side>.bin and <side>.idx.")
    ] = "megatron",
) -> None:
    """Write token shards in the format of another trainer, Megatron-LM's, a document a sequence."""
    from flows.cli.exporting import export_command

    export_command(name, folder, format)


@app.command()
def reproduce(
    model: Product,
    keep: Annotated[
        Path | None,
        typer.Option("--keep", metavar="FOLDER", help="Keep what was made there.", show_default=False),
    ] = None,
) -> None:
    """Make a model again from its record, beside the workspace, and compare it byte for byte."""
    from flows.cli.reproducing import reproduce_command

    reproduce_command(model, keep)


app.add_typer(data_app, name="data")
app.command()(trace)


def _accept(
    flow: str, experiment: str, overrides: list[str], options: Options, is_wanted: bool, is_trusting: bool
) -> None:
    if is_trusting and not is_wanted:
        from lmcore.config import SettingsError

        raise SettingsError("--trust says how to accept code; write --accept-code --trust")
    if is_wanted:
        from flows.cli.upkeep import accept_command

        accept_command(flow, experiment, overrides, options, is_trusting)


def _options(
    force: list[str] | None, start: str | None, until: str | None, verify: bool, refresh: bool
) -> Options:
    from tasks.engine.run import Options

    return Options(force=tuple(force or ()), start=start, until=until, verify=verify, refresh=refresh)
