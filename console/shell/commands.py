"""What is typed after `:`. Pure: a line becomes a command, or a sentence that says what it might have been."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from console.places import PLACES, Place, place_named
from console.shell.preferences import nearest


@dataclass(frozen=True, kw_only=True)
class Go:
    place: Place
    typed: str = ""
    """A filter for it, in the words of `/`."""


@dataclass(frozen=True, kw_only=True)
class Open:
    """What an id names: an incident, a plan, an execution."""

    kind: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Narrow:
    """The list that is looked at, by a filter; '' shows everything."""

    typed: str


@dataclass(frozen=True, kw_only=True)
class ChooseTheme:
    name: str


@dataclass(frozen=True, kw_only=True)
class Export:
    file: str
    """'': the screen names one."""


class Help:
    pass


class Quit:
    pass


Command = Go | Open | Narrow | ChooseTheme | Export | Help | Quit

_ID = re.compile(r"(inc|pln|exe)-[0-9a-z]+")
_ID_BEGUN = re.compile(r"(inc|pln|exe)-")
_WORDS = {
    "ns": "ns NAMESPACE",
    "theme": "theme NAME",
    "export": "export [FILE]",
    "help": "help",
    "quit": "quit",
}
"""Besides the places."""
_HELP = ("help", "h", "?")
_QUIT = ("quit", "q", "q!")


def parse(typed: str, *, themes: Sequence[str]) -> Command:
    """Raises ValueError, with a sentence for the operator."""
    word, _, rest = typed.strip().removeprefix(":").strip().partition(" ")
    rest = rest.strip()
    place = place_named(word)
    if place is not None:
        return Go(place=place, typed=rest)
    if _ID_BEGUN.match(word):
        return _opened(word, rest)
    match word:
        case "ns":
            return _namespace(rest)
        case "theme":
            return _theme(rest, themes)
        case "export":
            return Export(file=rest)
        case _ if word in _HELP:
            return _alone(Help(), word, rest)
        case _ if word in _QUIT:
            return _alone(Quit(), word, rest)
        case _:
            raise ValueError(f"{word!r} is no place and no command{nearest(word, _names())}")


def completions(typed: str, *, themes: Sequence[str], namespaces: Sequence[str] = ()) -> tuple[str, ...]:
    """Whole lines that go on from what was typed, the likeliest first."""
    word, space, rest = typed.partition(" ")
    if not space:
        return tuple(name for name in _names() if name.startswith(word) and name != word) if word else ()
    choices = {"theme": themes, "ns": namespaces}.get(word, ())
    return tuple(f"{word} {choice}" for choice in choices if choice.startswith(rest) and choice != rest)


def usages() -> Iterator[tuple[str, str]]:
    """For help: what to type, and what it does."""
    for place in PLACES:
        yield " ".join((place.name, *place.short)), place.summary
    yield "inc-... pln-... exe-...", "open what the id names"
    yield _WORDS["ns"], "filter the list by a namespace; alone: every namespace"
    yield _WORDS["theme"], "choose colours, and remember them"
    yield _WORDS["export"], "write what this screen shows to a file"
    yield "quit, q", "leave"


def _names() -> tuple[str, ...]:
    return (*(place.name for place in PLACES), *_WORDS)


def _opened(word: str, rest: str) -> Open:
    if rest or not _ID.fullmatch(word):
        raise ValueError(f"{word!r} is no whole id: it has letters and digits after the hyphen, and nothing follows")
    return Open(kind=word.partition("-")[0], id=word)


def _namespace(rest: str) -> Narrow:
    if " " in rest:
        raise ValueError("one namespace, as in `ns shop`; for more, filter with / as in `ns:shop ns:web`")
    return Narrow(typed=f"ns:{rest}" if rest and rest != "all" else "")


def _theme(name: str, themes: Sequence[str]) -> ChooseTheme:
    if name not in themes:
        said = f"there is no theme {name!r}" if name else "a theme is missing"
        raise ValueError(said + nearest(name, tuple(themes)))
    return ChooseTheme(name=name)


def _alone(command: Help | Quit, word: str, rest: str) -> Help | Quit:
    if rest:
        raise ValueError(f"{word!r} stands alone")
    return command
