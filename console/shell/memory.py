"""What the console keeps for its operator between two starts: saved views, what was typed, the theme that was chosen.

One JSON file of a few kilobytes, read at the start and written whole at every change, so that it is never half there.
Nothing in it decides anything: a file that cannot be read is moved aside, and the console begins with none.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from responder.domain.visible import visible

T = TypeVar("T")

MOST_LINES = 200
"""Of each history; the oldest go."""
MOST_VIEWS = 50
MOST_BYTES = 1024 * 1024
"""A file that is longer is not ours."""


@dataclass(frozen=True, kw_only=True)
class SavedView:
    """The incident list as somebody likes to see it."""

    name: str
    typed: str = ""
    """The filter, as it was typed."""
    sort: str = ""
    """As the API names it: `severity`, `-severity`; '' is newest first."""
    faults_only: bool = False


@dataclass(frozen=True, kw_only=True)
class _State:
    views: tuple[SavedView, ...] = ()
    histories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    theme: str = ""


class Memory:
    """`path` None: kept while it runs, and no longer. `problem` is a sentence about the file, or ''."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._state = _State()
        self.problem = ""
        if path is not None:
            self._load(path)

    @property
    def views(self) -> tuple[SavedView, ...]:
        """By name."""
        return self._state.views

    def view(self, name: str) -> SavedView | None:
        return next((view for view in self.views if view.name == name), None)

    def save_view(self, view: SavedView) -> None:
        """In place of one with its name."""
        others = [other for other in self.views if other.name != view.name]
        kept = sorted([*others[-MOST_VIEWS + 1 :], view], key=lambda each: each.name)
        self._keep(replace(self._state, views=tuple(kept)))

    def drop_view(self, name: str) -> bool:
        """Whether there was one."""
        left = tuple(view for view in self.views if view.name != name)
        dropped = len(left) < len(self.views)
        if dropped:
            self._keep(replace(self._state, views=left))
        return dropped

    def history(self, kind: str) -> tuple[str, ...]:
        """Oldest first."""
        return self._state.histories.get(kind, ())

    def add_history(self, kind: str, text: str) -> None:
        """As the newest; the same text from before is forgotten."""
        if not text.strip():
            return
        before = [line for line in self.history(kind) if line != text]
        lines = tuple([*before, text][-MOST_LINES:])
        self._keep(replace(self._state, histories={**self._state.histories, kind: lines}))

    @property
    def theme(self) -> str:
        return self._state.theme

    def keep_theme(self, name: str) -> None:
        self._keep(replace(self._state, theme=name))

    def _load(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            return
        except OSError as exc:
            self.problem = f"{path} cannot be read ({exc.strerror}): what was saved is not at hand"
            self._path = None
            return
        try:
            self._state = _read(raw)
        except (ValueError, RecursionError) as exc:
            self.problem = self._set_aside(path, str(exc))

    def _set_aside(self, path: Path, why: str) -> str:
        aside = path.with_name(f"{path.name}.broken")
        try:
            path.replace(aside)
        except OSError as exc:
            self._path = None
            return f"{path} is broken ({why}) and cannot be moved ({exc.strerror}): nothing will be saved"
        return f"{path} was broken ({why}): it is {aside.name} now, and a new one is begun"

    def _keep(self, state: _State) -> None:
        self._state = state
        if self._path is None:
            return
        try:
            _write(self._path, json.dumps(_document(state), indent=1, ensure_ascii=False) + "\n")
            self.problem = ""
        except OSError as exc:
            self.problem = f"{self._path} cannot be written ({exc.strerror}): this is not saved"


def default_path(environment: Mapping[str, str]) -> Path:
    """https://specifications.freedesktop.org/basedir-spec/latest/: paths that are not absolute are ignored."""
    given = Path(environment.get("XDG_STATE_HOME", ""))
    home = given if given.is_absolute() else Path.home() / ".local" / "state"
    return home / "clopus" / "console.json"


def _write(path: Path, text: str) -> None:
    """Another console may do the same now: whole files replace each other, and the last one stays."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _document(state: _State) -> dict[str, object]:
    views = [
        {"name": view.name, "typed": view.typed, "sort": view.sort, "faults_only": view.faults_only}
        for view in state.views
    ]
    histories = {kind: list(lines) for kind, lines in state.histories.items()}
    return {"version": 1, "views": views, "histories": histories, "theme": state.theme}


def _read(raw: bytes) -> _State:
    """Raises ValueError where it is not of this form. What a newer version has added is passed over."""
    if len(raw) > MOST_BYTES:
        raise ValueError(f"longer than {MOST_BYTES} bytes")
    return _state(json.loads(raw))


def _state(document: object) -> _State:
    top = _mapping(document, "the file")
    histories = {
        kind: tuple(_text(line, "a line") for line in _list(lines, kind))[-MOST_LINES:]
        for kind, lines in _mapping(top.get("histories", {}), "histories").items()
    }
    views = tuple(_view(_mapping(view, "a view")) for view in _list(top.get("views", []), "views"))
    return _State(views=views[:MOST_VIEWS], histories=histories, theme=_text(top.get("theme", ""), "theme"))


def _view(given: Mapping[str, object]) -> SavedView:
    name = _text(given.get("name", ""), "name")
    if not name:
        raise ValueError("a view has no name")
    return SavedView(
        name=name,
        typed=_text(given.get("typed", ""), "typed"),
        sort=_text(given.get("sort", ""), "sort"),
        faults_only=given.get("faults_only") is True,
    )


def _is(form: type[T], word: str) -> Callable[[object, str], T]:
    def check(value: object, what: str) -> T:
        if not isinstance(value, form):
            raise ValueError(f"{what} is no {word}")  # noqa: TRY004 - one kind of error for one kind of trouble
        return value

    return check


def _text(value: object, what: str) -> str:
    """Whoever wrote the file, it is drawn and written again: nothing stays in it that a terminal would act upon."""
    return visible(_plain(value, what))


_mapping = _is(dict, "object")
_list = _is(list, "list")
_plain = _is(str, "text")
