"""Finding a model by what a person calls it, and letting it write."""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path

from lmcore.config import SettingsError
from tasks.engine.workspace import Workspace, find_workspace

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
