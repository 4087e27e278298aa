"""What every section of the story is made of."""

from __future__ import annotations

from collections.abc import Iterable

from console.lines.formatting import Tone
from console.reasoning import Body, Form, Node

LABEL = 10
"""Cells of what stands before a fact."""


def section(number: int, title: str, rest: str, children: Iterable[Node], *, is_open: bool = True) -> Node:
    """`number` is the key that goes there."""
    return Node(
        key=f"section:{number}",
        label=f"{number} {title} ".ljust(LABEL + 2),
        label_tone=Tone.SECTION,
        note=rest,
        is_wrapped=True,
        is_open=is_open,
        children=tuple(children),
    )


def fact(key: str, label: str, text: str, tone: Tone = Tone.PLAIN, *, is_tight: bool = False) -> Node:
    return Node(key=key, label=f"{label:<{LABEL}}", note=text, tone=tone, is_wrapped=True, is_tight=is_tight)


def facts(key: str, label: str, texts: Iterable[str], tone: Tone = Tone.PLAIN) -> tuple[Node, ...]:
    """The label stands before the first."""
    return tuple(fact(f"{key}:{number}", "" if number else label, text, tone) for number, text in enumerate(texts))


def text_body(lines: Iterable[str]) -> tuple[Body, ...]:
    """Lines that open; none where there are none."""
    text = "\n".join(lines)
    return (Body(text=text, form=Form.TEXT),) if text else ()
