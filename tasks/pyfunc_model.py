"""The code inside every registered model: prompts in, continuations out, by `mlflow.pyfunc` or served.

MLflow copies this file and `lmcore` beside the weights and runs them from there, so that a version keeps
behaving as on the day when it was registered. No module imports this file: it may import MLflow at its top.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas  # type: ignore[import-untyped,unused-ignore]
from mlflow.pyfunc.model import PythonModel


class LanguageModel(PythonModel):
    """A model product (a Hugging Face folder) that goes on from prompts."""

    def load_context(self, context: Any) -> None:
        """Read weights and tokenizer from the version's own copy of the product."""
        from lmcore.interop.hugging_face import load_folder
        from lmcore.tokenizers.tokenizer import Tokenizer

        folder = Path(context.artifacts["model"])
        self.model = load_folder(folder)
        self.tokenizer = Tokenizer.load(folder)

    # A table is the one hint of which MLflow makes no signature of its own (that would lose the parameters);
    # without any hint it prints advice to whoever loads the model.
    def predict(self, context: Any, model_input: pandas.DataFrame, params: Any = None) -> list[str]:
        """One continuation for each prompt, without the prompt; with `chat`, the answer to it as a question.

        Parameters are chat, max_new_tokens, temperature (0 takes the likeliest token), top_k (0: no limit),
        top_p (1: no limit) and seed: the same seed gives the same text, whatever stands beside it in a batch.
        """
        return [self._continue(prompt, **(params or {})) for prompt in prompts_in(model_input)]

    def _continue(
        self,
        prompt: str,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 0,
        chat: bool = False,
    ) -> str:
        from lmcore.chat.template import END, begin_answer
        from lmcore.generate.decode import generate

        end = self.tokenizer.eos_id
        # A text begins behind the end of another, as in training.
        start = begin_answer(prompt, self.tokenizer) if chat else [end, *self.tokenizer.encode(prompt)]
        ids = generate(
            self.model,
            start,
            max_new_tokens,
            temperature=temperature,
            top_k=top_k or None,
            top_p=None if top_p == 1 else top_p,
            seed=seed,
            stop_ids=(end, self.tokenizer.control_id(END)) if chat else (end,),
        )
        return self.tokenizer.decode(ids)


def prompts_in(model_input: Any) -> list[str]:
    """The prompts, in whatever MLflow hands on: text, a list, or a table whose first column counts."""
    if isinstance(model_input, str):
        return [model_input]
    if hasattr(model_input, "iloc"):
        model_input = model_input.iloc[:, 0]
    return [str(prompt) for prompt in model_input]


mlflow.models.set_model(LanguageModel())
