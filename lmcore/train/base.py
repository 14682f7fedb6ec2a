"""A model that is there already, and that a run goes on from."""

from __future__ import annotations

from pathlib import Path

from lmcore.interop.hugging_face import load_folder
from lmcore.lineage import digest_of, file_digest
from lmcore.models.settings import TransformerConfig
from lmcore.models.transformer import Transformer
from lmcore.tokenizers.tokenizer import Tokenizer


def load_base(folder: Path, expected: TransformerConfig | None = None) -> Transformer:
    """The model of a folder, all of its weights ready to train.

    Raises:
        ValueError: the folder holds no model of ours, or one that is not made as expected.
    """
    model = load_folder(folder)
    if expected is not None and model.config != expected:
        found, wanted = model.config.model_dump(), expected.model_dump()
        name = next(name for name in wanted if found[name] != wanted[name])
        raise ValueError(
            f"the base {folder} has {name} {found[name]!r}, the model's settings say {wanted[name]!r}; "
            f"leave the model's settings to the base, or choose a base that fits them"
        )
    return model.train().requires_grad_(True)


def check_tokenizer(base: Path, tokenizer: Tokenizer) -> None:
    """Raise ValueError unless a base reads text with this tokenizer."""
    if (own := Tokenizer.load(base)).digest != tokenizer.digest:
        raise ValueError(
            f"the base {base} reads with tokenizer {own.digest[:12]}, not with {tokenizer.digest[:12]}; "
            f"write the shards with the base's own tokenizer"
        )


def base_digest(folder: Path) -> str:
    """Digest of a base's weights and settings."""
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    return digest_of({path.name: file_digest(path) for path in files})
