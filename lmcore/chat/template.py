"""ChatML, as text for those who read it and as token ids for those who train and serve.

    <|im_start|>user
    How are you?<|im_end|>
    <|im_start|>assistant
    Well.<|im_end|>

The assistant's words and the marker that ends them are what a model learns; all else is given to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from jinja2 import nodes
from jinja2.exceptions import SecurityError, TemplateError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lmcore.chat.conversation import Conversation, Message

CHATML = Path(__file__).with_name("chatml.jinja").read_text(encoding="utf-8")
"""The template that every tokenizer of ours carries."""
START, END = "<|im_start|>", "<|im_end|>"


class Encoder(Protocol):
    """What encoding a conversation needs of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text, never a control id."""

    def control_id(self, name: str) -> int:
        """The id of a control token."""


class EncodedConversation(NamedTuple):
    """Token ids, and for each whether the model is to learn to say it."""

    ids: list[int]
    is_learned: list[bool]


class _Generation(Extension):
    """`{% generation %}` marks what the assistant says; in rendering to text it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def render(conversation: Conversation, *, add_generation_prompt: bool = False, template: str = CHATML) -> str:
    """The conversation as text, by the template in Jinja's sandbox; a prompt ends where the assistant begins.

    For reading only: encode with `encode_conversation`, since what a user writes may spell a marker.

    Raises:
        ValueError: the template does not parse, reaches outside of the sandbox, or refuses the conversation.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation]
    )
    environment.globals["raise_exception"] = _refuse
    try:
        return environment.from_string(template).render(
            messages=[message.model_dump() for message in conversation.messages],
            add_generation_prompt=add_generation_prompt,
            bos_token="",
        )
    except SecurityError as error:
        raise ValueError(f"the chat template is unsafe: {error}") from None
    except TemplateError as error:
        raise ValueError(f"the chat template cannot render this conversation: {error}") from None


def encode_conversation(
    conversation: Conversation, encoder: Encoder, *, add_generation_prompt: bool = False
) -> EncodedConversation:
    """ChatML as ids, built piece by piece: markers are control ids, and text never becomes one.

    Decoded, it is what `render` gives. Leave the generation prompt away for training, ask for it for serving:
    the ids up to the assistant's first word are the same.
    """
    encoded = EncodedConversation([], [])
    for piece in _pieces(conversation, add_generation_prompt):
        new = [encoder.control_id(piece.text)] if piece.is_control else encoder.encode(piece.text)
        encoded.ids.extend(new)
        encoded.is_learned.extend([piece.is_learned] * len(new))
    return encoded


def begin_answer(question: str, encoder: Encoder) -> list[int]:
    """The ids of a user's question, up to where the assistant begins."""
    asked = Conversation(messages=(Message(role="user", content=question),))
    return encode_conversation(asked, encoder, add_generation_prompt=True).ids


class _Piece(NamedTuple):
    text: str
    is_control: bool = False
    is_learned: bool = False


def _pieces(conversation: Conversation, add_generation_prompt: bool) -> Iterator[_Piece]:
    """A header is a piece of its own: serving, which knows nothing behind it, cuts where training did."""
    for message in conversation.messages:
        learned = message.role == "assistant"
        yield _Piece(START, is_control=True)
        yield _Piece(f"{message.role}\n")
        yield _Piece(message.content, is_learned=learned)
        yield _Piece(END, is_control=True, is_learned=learned)
        yield _Piece("\n")
    if add_generation_prompt:
        yield _Piece(START, is_control=True)
        yield _Piece("assistant\n")


def _refuse(message: str) -> NoReturn:
    """What a template calls as `raise_exception`."""
    raise TemplateError(message)
