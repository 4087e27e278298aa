"""What the operator has set in `console.toml`: the theme, the keys, what a screen reader needs.

    theme  = "clopus-contrast"     # wins over what `:theme` has remembered
    motion = false                 # nothing moves by itself
    cursor = true                  # the terminal's own cursor stands on the current line

    [keys]
    "incident.approve" = "A"       # ids: clopus console --keys

A file with a mistake is refused whole: a key that did not take effect is found when it is needed most.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from responder.domain.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Preferences:
    theme: str = ""
    motion: bool = True
    cursor: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by the id of what they do; several keys are separated by commas."""
    path: str = ""
    """Where this was read."""


_FORMS: Mapping[str, type] = {"theme": str, "motion": bool, "cursor": bool, "keys": dict}
_WORDS: Mapping[type, str] = {str: "a text in quotes", bool: "true or false", dict: "a table"}


def load(path: Path | None, environment: Mapping[str, str]) -> Preferences:
    """From `path`, which must be there, or from the usual place, which need not.

    Raises:
        ConfigError: with the nearest name that there is.
    """
    chosen = path or default_path(environment)
    try:
        text = chosen.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        if path is None:
            return Preferences()
        raise ConfigError(path=chosen, problem="there is no such file") from exc
    except OSError as exc:
        raise ConfigError(path=chosen, problem=exc.strerror or "cannot be read") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(path=chosen, problem="is no UTF-8") from exc
    return parse(text, str(chosen))


def default_path(environment: Mapping[str, str]) -> Path:
    """https://specifications.freedesktop.org/basedir-spec/latest/: paths that are not absolute are ignored."""
    given = Path(environment.get("XDG_CONFIG_HOME", ""))
    home = given if given.is_absolute() else Path.home() / ".config"
    return home / "clopus" / "console.toml"


def parse(text: str, path: str) -> Preferences:
    """Raises ConfigError."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(path=path, problem=f"is no TOML: {exc}") from exc
    for name, value in given.items():
        form = _FORMS.get(name)
        if form is None:
            raise ConfigError(path=path, key=name, problem=f"is not known{nearest(name, _FORMS)}")
        if not isinstance(value, form):
            raise ConfigError(path=path, key=name, problem=f"has to be {_WORDS[form]}")
    return Preferences(
        theme=given.get("theme", ""),
        motion=given.get("motion", True),
        cursor=given.get("cursor", False),
        keys=_keys(given.get("keys", {}), path),
        path=path,
    )


def _keys(given: Mapping[str, object], path: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for name, value in given.items():
        if isinstance(value, dict):
            within = f"{name}.{next(iter(value), 'action')}"
            raise ConfigError(path=path, key=f"keys.{name}", problem=f'put the id in quotes: "{within}" = "..."')
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(path=path, key=f"keys.{name}", problem='has to be a key, as in "A" or "ctrl+a,f5"')
        keys[name] = value
    return keys


def nearest(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """`; did you mean x?`, or what there is where nothing is near."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
