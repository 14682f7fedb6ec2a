"""E-mail addresses, numbers and the like that belong to somebody, replaced by ones that belong to nobody.

The replacement follows from what it replaces alone: the same address becomes the same stand-in wherever it
occurs, whatever the order and the number of workers. Stand-ins come from what was set aside for examples
(RFC 2606, 5737, 3849), so they are told from real ones, and a second pass leaves them alone.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Literal

from lmcore.corpus.cleaners import Cleaned, Tally, cleaners

Kind = Literal["email", "ip_address", "card_number", "iban", "phone"]

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL = re.compile(rf"(?<![\w.+-]){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+[A-Za-z]{{2,63}}\b")
IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])")
CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
PHONE = re.compile(r"(?<![\w+])\+\d{1,3}(?:[ ().-]{0,2}\d){6,12}(?!\w)")
EXAMPLES = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)$", re.IGNORECASE)


@cleaners.register
def personal_data(text: str, *, kinds: tuple[Kind, ...] = ("email", "ip_address")) -> Cleaned:
    """Replace what looks like personal data of the `kinds` asked for.

    IP addresses count only if they are globally routable, card numbers and IBANs only if their check
    digits are right, telephone numbers only in the international form (`+44 ...`). Names and postal addresses
    are not looked for: no rule finds them.
    """
    tally, before = Tally(), None
    while text != before:  # a stand-in may part what kept another from being seen
        before = text
        for kind in sorted(set(kinds)):
            spellings, replace = _KINDS[kind]
            for spelling in spellings:
                text = _replaced(text, spelling, _counting(kind, replace, tally))
    return Cleaned(text, tally.edits())


def _replaced(text: str, spelling: _Spelling, stand_in: Callable[[re.Match[str]], str]) -> str:
    """The pattern is looked for only in lines where there may be a match."""
    hint, pattern = spelling
    if not hint.search(text):
        return text
    return "\n".join(pattern.sub(stand_in, line) if hint.search(line) else line for line in text.split("\n"))


def _counting(kind: str, replace: Callable[[str], str], tally: Tally) -> Callable[[re.Match[str]], str]:
    def replaced(match: re.Match[str]) -> str:
        stand_in = replace(match[0])
        if stand_in != match[0]:
            tally.count(kind, match[0], example=stand_in)
        return stand_in

    return replaced


def _email(address: str) -> str:
    if EXAMPLES.search(address.rpartition("@")[2]):
        return address
    return f"user-{_digits(address.lower(), 16**8):08x}@example.com"


def _ip_address(address: str) -> str:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if not known.is_global:
        return address
    if known.version == 6:
        return f"2001:db8::{_digits(known.compressed, 1 << 16):x}"
    return f"192.0.2.{_digits(known.compressed, 254) + 1}"


def _card_number(number: str) -> str:
    """Check digits after Luhn (ISO/IEC 7812)."""
    digits = [int(digit) for digit in number if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    if (sum(digits[-1::-2]) + sum(doubled)) % 10 or len(set(digits)) == 1:
        return number
    return _masked(number)


def _iban(number: str) -> str:
    """Check digits after ISO 13616: the remainder by 97 is 1."""
    plain = number.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return number
    return (
        _masked(number) if int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1 else number
    )


def _phone(number: str) -> str:
    return _masked(number) if sum(map(str.isdigit, number)) >= 8 else number


def _masked(number: str) -> str:
    """As it is written, without its digits."""
    return re.sub(r"\d", "0", number)


def _digits(text: str, below: int) -> int:
    """A number from a text, the same everywhere."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big") % below


_Spelling = tuple[re.Pattern[str], re.Pattern[str]]
"""What is quickly found where there may be a match, and the pattern; none goes over the end of a line."""
_KINDS: dict[str, tuple[tuple[_Spelling, ...], Callable[[str], str]]] = {
    "email": (((re.compile("@[A-Za-z0-9]"), EMAIL),), _email),
    "ip_address": (
        (
            (re.compile(r"\d\.\d{1,3}\.\d{1,3}\.\d"), IPV4),
            (re.compile(r":[0-9A-Fa-f]{0,4}:"), IPV6),
        ),
        _ip_address,
    ),
    "card_number": (((re.compile(r"\d(?:[ -]?\d){12}"), CARD),), _card_number),
    "iban": (((re.compile(r"[A-Z]{2}\d{2}"), IBAN),), _iban),
    "phone": (((re.compile(r"\+\d"), PHONE),), _phone),
}
"""For each kind how it is spelled, and what replaces a match."""
