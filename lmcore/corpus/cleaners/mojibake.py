"""Text that was decoded as something else than it was encoded in (`cafÃ©` for `café`), mended by ftfy."""

from __future__ import annotations

from lmcore.corpus.cleaners import Cleaned, Tally, cleaners


@cleaners.register
def mojibake(text: str) -> Cleaned:
    """What ftfy's `fix_encoding` says, line by line: it touches only what it surely makes better."""
    if text.isascii():
        return Cleaned(text)
    from ftfy import fix_encoding

    tally, lines = Tally(), text.split("\n")
    for number, line in enumerate(lines):
        if not line.isascii() and (mended := fix_encoding(line)) != line:
            tally.count("mojibake", line)
            lines[number] = mended
    return Cleaned("\n".join(lines), tally.edits()) if tally.edits() else Cleaned(text)
