"""Keys as the operator wants them: every id that can have another key, and what a keymap may not do.

Textual replaces the keys (https://textual.textualize.io/guide/input/#keymaps), and does so without a word where two
meet or an id is mistyped. Whoever remaps keys decides on changes to a cluster with them, so here every such thing is
an error at the start. All screens are imported for it, which is why it happens only where a key is remapped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pkgutil import iter_modules
from unicodedata import name as unicode_name

from textual.app import App
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import KEY_NAME_REPLACEMENTS, Keys
from textual.screen import Screen
from textual.widgets import Input, TextArea

import console.screens
import console.widgets
from console.shell.preferences import nearest
from console.widgets.lineview import LineView
from responder.domain.errors import ConfigError, ConfigErrors

_MODIFIERS = ("ctrl", "alt", "shift", "super", "meta", "hyper")
_EVERYWHERE = "everywhere"
_ANSWERS = "approve.approve"
"""The key that approves, on the screen that shows the whole change."""
_ASKS = ("approve", "arm")
"""How ids end that lead there."""
_ALWAYS = ("enter", "escape", "ctrl+q")
"""Enter ends what is typed to decide, escape leaves it, ctrl+q quits from anywhere: none may mean anything else."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """What one id does, and by which keys, as they are without a keymap."""

    id: str
    keys: tuple[str, ...]
    does: str


@dataclass(frozen=True, kw_only=True)
class _Bound:
    """One entry of a class: what it does there, whether or not it can be remapped."""

    where: str
    id: str
    keys: tuple[str, ...]
    does: str
    within_text: bool = False
    """It is pressed where text is typed: by a key that is text itself, nothing would be done, or nothing typed."""

    @property
    def told(self) -> str:
        return self.id or f"{self.does or 'a key'} of {self.where}"


def keys_of(app: type[App[None]]) -> tuple[Key, ...]:
    """Every id, those of everywhere first."""
    found: dict[str, Key] = {}
    for bound in (entry for entries in _everything(app).values() for entry in entries):
        if bound.id:
            known = found.get(bound.id)
            keys = tuple(dict.fromkeys((*(known.keys if known else ()), *bound.keys)))
            found[bound.id] = Key(id=bound.id, keys=keys, does=bound.does)
    return tuple(sorted(found.values(), key=lambda key: (not key.id.startswith("app."), key.id)))


def checked(given: Mapping[str, str], app: type[App[None]], path: str) -> dict[str, str]:
    """The keymap for Textual.

    Raises:
        ConfigErrors: ids and keys that there are not, keys that meet on one screen, an approval of one key.
    """
    everything = _everything(app)
    ids = tuple(key.id for key in keys_of(app))
    problems = [
        ConfigError(path=path, key=f"keys.{id_}", problem=problem)
        for id_, text in given.items()
        for problem in _mistyped(id_, text, ids)
    ]
    keymap = {id_: normal(text) for id_, text in given.items()}
    if not problems:
        after = {where: [_remapped(entry, keymap) for entry in entries] for where, entries in everything.items()}
        problems = [
            ConfigError(path=path, key=f"keys.{id_}", problem=problem)
            for id_ in keymap
            for problem in (*_clashes(id_, after), *_decided_by_one(id_, after), *_typed(id_, after))
        ]
    if problems:
        raise ConfigErrors(problems)
    return {id_: ",".join(keys) for id_, keys in keymap.items()}


def normal(text: str) -> tuple[str, ...]:
    """As Textual names keys: `?` is `question_mark`."""
    return tuple(_named(part.strip()) for part in (text.split(",") if text.strip() != "," else [","]))


def _named(key: str) -> str:
    if len(key) != 1 or key.isalnum():
        return key
    spelled = unicode_name(key, key).lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(spelled, spelled)


def _mistyped(id_: str, text: str, ids: tuple[str, ...]) -> Iterator[str]:
    if id_ not in ids:
        yield f"is not known{nearest(id_, ids)} (all: clopus console --keys)"
    names = tuple(dict.fromkeys(key.value for key in Keys if not key.value.startswith("<")))
    for key in normal(text):
        *modifiers, last = key.split("+")
        if not (len(last) == 1 or last in names or _is_spelled(last)) or not set(modifiers) <= set(_MODIFIERS):
            yield f"there is no key {key!r}{nearest(key, names) if len(key) > 1 else ''}"


def _is_spelled(name: str) -> bool:
    """It is a character that is typed."""
    return name in {_named(chr(code)) for code in range(0x20, 0x7F)}


def _clashes(id_: str, after: Mapping[str, list[_Bound]]) -> Iterator[str]:
    """With what the same screen does by that key, with what is everywhere, and with the keys that move."""
    told: set[str] = set()
    for where, entries in after.items():
        ours = next((entry for entry in entries if entry.id == id_), None)
        if ours is None:
            continue
        beside = _beside(where, after)
        for key in ours.keys:
            other = next((entry for entry in beside if entry.id != id_ and _has(entry, key)), None)
            if other is not None and other.told not in told:
                told.add(other.told)
                yield f"{key!r} is {other.told} already"


def _has(entry: _Bound, key: str) -> bool:
    return _canonical(key) in map(_canonical, entry.keys)


def _beside(where: str, after: Mapping[str, list[_Bound]]) -> list[_Bound]:
    """What is in reach together with the entries of a class; for the app, what is everywhere, that is everything."""
    if where == _EVERYWHERE:
        return [entry for entries in after.values() for entry in entries]
    return [*after[where], *after[_EVERYWHERE], *after[LineView.__name__]]


def _decided_by_one(id_: str, after: Mapping[str, list[_Bound]]) -> Iterator[str]:
    """What leads to an approval must not give it as well."""
    entries = [entry for each in after.values() for entry in each]
    answers = {key for entry in entries if entry.id == _ANSWERS for key in map(_canonical, entry.keys)}
    asks = {key for entry in entries if _asks(entry.id) for key in map(_canonical, entry.keys)}
    keys = {key for entry in entries if entry.id == id_ for key in map(_canonical, entry.keys)}
    if keys & asks & answers:
        yield "one key would approve by being pressed twice: what asks and what answers take a key each"
    for key in sorted(keys & set(_ALWAYS)):
        yield f"{key!r} has one meaning everywhere and cannot be given another"


def _typed(id_: str, after: Mapping[str, list[_Bound]]) -> Iterator[str]:
    entries = [entry for each in after.values() for entry in each if entry.id == id_ and entry.within_text]
    for key in sorted({key for entry in entries for key in entry.keys if _is_spelled(key)}):
        yield f"{key!r} is a key that types text, and this is done where text is typed"


def _asks(id_: str) -> bool:
    return id_ != _ANSWERS and id_.rpartition(".")[2] in _ASKS


def _canonical(key: str) -> str:
    """Terminals differ in how they tell of a capital."""
    return key[-1].upper() if re.fullmatch("shift[+][a-z]", key) else key


def _remapped(entry: _Bound, keymap: Mapping[str, tuple[str, ...]]) -> _Bound:
    return replace(entry, keys=keymap.get(entry.id, entry.keys))


def _everything(app: type[App[None]]) -> dict[str, list[_Bound]]:
    """What each class of the console binds, by the name of the class."""
    found = {_EVERYWHERE: _bound(app, "every screen")}
    for package in (console.screens, console.widgets):
        for module in iter_modules(package.__path__, f"{package.__name__}."):
            for each in vars(import_module(module.name)).values():
                if isinstance(each, type) and issubclass(each, DOMNode) and each.__module__.startswith("console."):
                    found[each.__name__] = _bound(each, _screen_of(each))
    return found


def _screen_of(node: type[DOMNode]) -> str:
    place = getattr(node, "place", "") if issubclass(node, Screen) else ""
    return place or node.__name__.removesuffix("Screen").lower()


def _bound(node: type[DOMNode], where: str) -> list[_Bound]:
    """Its own entries and those of its parents that are ours."""
    entries: dict[str, _Bound] = {}
    takes_text = issubclass(node, Input | TextArea)
    for parent in node.__mro__:
        if not parent.__module__.startswith("console."):
            continue
        for binding in Binding.make_bindings(vars(parent).get("BINDINGS", ())):
            name = binding.id or binding.action
            known = entries.get(name)
            keys = (*(known.keys if known else ()), binding.key)
            # Textual leaves a key that is text to what is typed into, but goes by the key before any keymap.
            within_text = takes_text or (binding.priority and not _is_spelled(binding.key))
            entries[name] = _Bound(
                where=where, id=binding.id or "", keys=keys, does=binding.description, within_text=within_text
            )
    return list(entries.values())
