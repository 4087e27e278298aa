"""Text on its way into the operator's clipboard, and from there, one day, into a shell; and back. Pure.

The terminal does it (OSC 52, https://invisible-island.net/xterm/ctlseqs/ctlseqs.html), also through ssh, and does not
say whether it did.
"""

from __future__ import annotations

from collections.abc import Mapping

from console.lines.formatting import shown
from responder.domain.visible import visible

MOST_BYTES = 74_994
"""What terminals that bound the sequence at 100,000 bytes take: a longer one is dropped without a word, or cut."""


def prepared(text: str) -> str:
    """Without what a terminal or a shell would act upon, and without the line feed at the end, which would run it.

    Raises:
        ValueError: nothing to copy, or too much at once.
    """
    safe = shown(text.replace("\r\n", "\n")).strip("\n")
    if not safe:
        raise ValueError("there is nothing to copy here")
    size = len(safe.encode())
    if size > MOST_BYTES:
        raise ValueError(f"not copied: {size:,} bytes, and terminals take {MOST_BYTES:,} at once")
    return safe


def pasted(text: str) -> str:
    """What comes the other way. Terminals send a carriage return where a line ends."""
    return visible(text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    "))


def told(text: str, what: str, environment: Mapping[str, str]) -> str:
    """What was asked of the terminal, and what may keep it from doing so."""
    lines = text.count("\n") + 1
    extent = f"{lines} lines" if lines > 1 else f"{len(text)} characters"
    tmux = "; tmux passes it on after `set -g set-clipboard on`" if environment.get("TMUX") else ""
    return f"copied {what} ({extent}){tmux}"
