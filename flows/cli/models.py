"""Finding a model by what a person calls it, letting it write, and telling where it came from."""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lmcore.config import SettingsError
from lmcore.lineage import MANIFEST, read_manifest
from tasks.artifacts import Checkpoint
from tasks.engine.artifact import Artifact
from tasks.engine.workspace import Workspace, find_workspace

if TYPE_CHECKING:
    from tasks.tracking.versions import Registered

WEIGHTS = "model.safetensors"


def find_model(workspace: Workspace, called: str) -> Path:
    """The folder of a model: a registered NAME@ALIAS or NAME@vN, an experiment's, or a folder.

    Raises:
        SettingsError: nothing is called so.
    """
    called = called.removeprefix("models:/")
    name, _, which = called.partition("@")
    if which:
        from tasks.tracking.versions import registered

        if version := registered(workspace.root, name, which):
            if not (version.folder / WEIGHTS).is_file():
                raise SettingsError(f"the files of {name} v{version.version} are gone; run its flow again")
            return version.folder
        raise SettingsError(
            f"no version '{which}' of a registered model '{name}'; `lm list` shows what there is"
        )
    for folder in (
        workspace.path("models") / called / "pretrain_model",
        Path(called),
        workspace.path(called),
    ):
        if (folder / WEIGHTS).is_file():
            return folder.resolve()
    raise SettingsError(
        f"no model '{called}': expected an experiment, NAME@ALIAS or a folder; `lm list` shows what there is"
    )


def generate_command(
    called: str,
    prompt: str,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    seed: int,
    chat: bool,
) -> None:
    folder = find_model(find_workspace(), called)
    from lmcore.chat.template import END, begin_answer
    from lmcore.generate.decode import generate
    from lmcore.interop.hugging_face import load_folder
    from lmcore.tokenizers.tokenizer import Tokenizer

    tokenizer, model = Tokenizer.load(folder), load_folder(folder).eval()
    start = begin_answer(prompt, tokenizer) if chat else tokenizer.encode(prompt) or [tokenizer.eos_id]
    tokens = generate(
        model,
        start,
        max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop_ids=(tokenizer.eos_id, tokenizer.control_id(END)) if chat else (tokenizer.eos_id,),
    )
    first = next(tokens, None)  # should that fail, nothing stands on the line yet
    sys.stdout.write("" if chat else prompt)
    written, shown = [], ""
    for token in chain([] if first is None else [first], tokens):
        written.append(token)
        text = tokenizer.decode(written)
        # A token may end inside a letter; such a piece is held back until it is whole.
        if not text.endswith("\ufffd"):
            sys.stdout.write(text[len(shown) :])
            sys.stdout.flush()
            shown = text
    sys.stdout.write("\n")


def lineage_command(called: str, as_json: bool) -> None:
    from tasks import lineage

    workspace = find_workspace()
    tree = lineage.trace(workspace.root, _product(workspace, called))
    if as_json:
        sys.stdout.write(lineage.as_json(tree))
        return
    if version := _version(workspace, called):
        aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
        print(f"registered model {version.name} v{version.version}{aliases}, run {version.run_id}")
    sys.stdout.write(lineage.as_text(tree))


def _version(workspace: Workspace, called: str) -> Registered | None:
    name, _, which = called.removeprefix("models:/").partition("@")
    if not which:
        return None
    from tasks.tracking.versions import registered

    return registered(workspace.root, name, which)


def _product(workspace: Workspace, called: str) -> Artifact:
    """A product by its address, or the model of that name; a registered one where it was made."""
    folder = workspace.path(called)
    if not (folder / MANIFEST).is_file():
        folder = find_model(workspace, called)
    manifest = read_manifest(folder)
    made = workspace.path("models") / f"{manifest.step}-{manifest.key[:12]}"
    address = workspace.address(made if made.is_dir() else folder)
    return Checkpoint(address, manifest.name, manifest.digest, manifest.key, manifest.size)
