"""What the operator types after `/`, as a question to the API. Pure.

`ns:shop* !ns:shop-test state:await age<1h checkout` asks for incidents of the namespaces that begin with shop, but not
of shop-test, that wait for approval, were opened within the last hour, and whose id, key, summary or labels contain
checkout. Terms are separated by blanks and all have to hold; `ns:a,b` and `ns:a ns:b` are alternatives. `!` or `-`
before a term takes out what it matches. Quotes keep blanks and everything else as they are: `"not ready"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from console.filterwords import KEYS, KEYS_SHOWN, KINDS, LONG_KEYS, MODES, OUTCOMES, OVER_STATES, STATES
from responder.domain import spans
from responder.domain.incident import Outcome, State
from responder.domain.search import EVERYTHING, NEWEST_FIRST, Order, Search

W = TypeVar("W", bound=StrEnum)

MOST_CHARACTERS = 256
"""Of one term, as the API takes it."""
_TERM = re.compile(
    r'(?P<out>[!-]?)(?:(?P<key>[A-Za-z_]+)(?P<sign>[:<>]))?(?P<value>(?:"[^"]*(?:"|\Z)|[^\s"])*)', re.ASCII
)

_NOTHING = "none"
"""How the API spells the outcome of what has none yet."""
_PARAMETERS = (
    ("q", "text"),
    ("not_q", "not_text"),
    ("state", "states"),
    ("outcome", "outcomes"),
    ("namespace", "namespaces"),
    ("not_namespace", "not_namespaces"),
    ("rule", "rules"),
    ("not_rule", "not_rules"),
    ("severity", "severities"),
    ("not_severity", "not_severities"),
    ("mode", "modes"),
    ("kind", "kinds"),
)
"""Parameter of `GET /api/v1/incidents` -> field of `Search`."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """All that decides which rows there are, and in which order."""

    search: Search = EVERYTHING
    order: Order = NEWEST_FIRST

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Of `GET /api/v1/incidents`; a name may stand there more than once."""
        asked = [(name, value or _NOTHING) for name, of in _PARAMETERS for value in getattr(self.search, of)]
        for name, span in (("younger_than", self.search.younger_than), ("older_than", self.search.older_than)):
            if span is not None:
                asked.append((name, spans.spelt(span)))
        if self.order != NEWEST_FIRST:
            asked.append(("sort", str(self.order)))
        return tuple(asked)


def parse(typed: str, *, faults_only: bool = False, is_typing: bool = False) -> Search:
    """While one `is_typing`, a last word that may still become a key is not looked for as text.

    Raises:
        ValueError: with a sentence that says what to write.
    """
    terms = _Terms()
    for match in _matches(typed):
        if not (is_typing and match.end() == len(typed) and _may_become_a_key(match[0])):
            _take(match, terms)
    if faults_only:
        terms.states.out |= OVER_STATES
        if terms.states.wanted and not terms.states.wanted - terms.states.out:
            raise ValueError("faults only is on, and the states asked for are none: press f, or ask for state:open")
    return terms.search()


@dataclass
class _Words:
    """Of an attribute that has few values."""

    wanted: set[str] = field(default_factory=set)
    out: set[str] = field(default_factory=set)

    def take(self, meant: Iterable[frozenset[W]], *, is_out: bool) -> None:
        (self.out if is_out else self.wanted).update(*meant)

    def left(self, every: type[W], key: str) -> tuple[W, ...]:
        """Empty where all are admitted."""
        if not self.wanted and not self.out:
            return ()
        left = tuple(word for word in every if word in (self.wanted or set(every)) and word not in self.out)
        if not left:
            raise ValueError(f"every {key} asked for is taken out again: leave out one of the {key}: terms")
        return left


@dataclass
class _Terms:
    """What was read so far."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    """Field of `Search` -> values."""
    states: _Words = field(default_factory=_Words)
    outcomes: _Words = field(default_factory=_Words)
    younger_than: timedelta | None = None
    older_than: timedelta | None = None

    def add(self, of: str, values: Iterable[str]) -> None:
        self.texts.setdefault(of, []).extend(values)

    def _of(self, of: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.texts.get(of, ())))

    def search(self) -> Search:
        if self.younger_than and self.older_than and self.older_than >= self.younger_than:
            younger, older = spans.spelt(self.younger_than), spans.spelt(self.older_than)
            told = f"nothing is younger than {younger} and older than {older}"
            raise ValueError(f"{told}: write the longer time after age<")
        return Search(
            text=self._of("text"),
            not_text=self._of("not_text"),
            namespaces=self._of("namespaces"),
            not_namespaces=self._of("not_namespaces"),
            rules=self._of("rules"),
            not_rules=self._of("not_rules"),
            severities=self._of("severities"),
            not_severities=self._of("not_severities"),
            modes=self._of("modes"),
            kinds=self._of("kinds"),
            states=self.states.left(State, "state"),
            outcomes=self.outcomes.left(Outcome, "outcome"),
            younger_than=self.younger_than,
            older_than=self.older_than,
        )


def _matches(typed: str) -> Iterator[re.Match[str]]:
    place = 0
    while place < len(typed):
        match = _TERM.match(typed, place)
        if match is None or match.end() == place:
            place += 1
            continue
        yield match
        place = match.end()


def _may_become_a_key(word: str) -> bool:
    begun = word.lstrip("!-").lower()
    return bool(begun) and any(key.startswith(begun) for key in (*KEYS, *LONG_KEYS))


def _take(match: re.Match[str], terms: _Terms) -> None:
    is_out = bool(match["out"])
    value = match["value"].replace('"', "")
    _check(value)
    key = _key(match)
    if not key:
        whole = match[0][len(match["out"]) :].replace('"', "")
        terms.add("not_text" if is_out else "text", [whole] if whole else [])
    elif key == "age":
        _take_age(match, value, terms)
    elif match["sign"] != ":":
        raise ValueError(f"only an age is less or more: write {key}:{value or 'word'}")
    else:
        _take_values(key, [part for part in value.split(",") if part], terms, is_out=is_out)


def _check(value: str) -> None:
    if len(value) > MOST_CHARACTERS:
        raise ValueError(f"a term of {len(value)} characters: write at most {MOST_CHARACTERS}")
    if not value.isprintable():
        raise ValueError("there are characters that cannot be seen: type the words anew")


def _key(match: re.Match[str]) -> str:
    """Of the term; empty where it is text. `nginx:1.27` and `http://web` are text, a misspelt key is none."""
    given = (match["key"] or "").lower()
    key = LONG_KEYS.get(given, given)
    if not key or key in KEYS:
        return key
    near = get_close_matches(given, (*KEYS, *LONG_KEYS), n=1, cutoff=0.8)
    if near and match["sign"] == ":":
        raise ValueError(f"no key is called {given}: write {near[0]}:, or put text in quotes; keys are {KEYS_SHOWN}")
    return ""


def _take_values(key: str, values: list[str], terms: _Terms, *, is_out: bool) -> None:
    match key:
        case "state":
            terms.states.take((_begun(value, STATES, key) for value in values), is_out=is_out)
        case "outcome":
            terms.outcomes.take((_begun(value, OUTCOMES, key) for value in values), is_out=is_out)
        case "mode" | "kind" if is_out:
            raise ValueError(f"a {key} cannot be taken out: name those you want, {key}:a,b")
        case "mode":
            terms.add("modes", [_mode(value) for value in values])
        case "kind":
            terms.add("kinds", [KINDS.get(value.lower()) or _pattern(value) for value in values])
        case "sev":
            terms.add("not_severities" if is_out else "severities", [_pattern(value) for value in values])
        case _:
            of = {"ns": "namespaces", "rule": "rules"}[key]
            terms.add(f"not_{of}" if is_out else of, values)


def _begun(value: str, known: Mapping[str, frozenset[W]], key: str) -> frozenset[W]:
    """What a word of the language stands for, or all that begin with it."""
    word = value.lower().replace("-", "_")
    if word in known:
        return known[word]
    found = [meant for name, meant in known.items() if name.startswith(word)]
    if not found:
        raise ValueError(f"no {key} begins with {value!r}: write one of {', '.join(known)}")
    return frozenset().union(*found)


def _mode(value: str) -> str:
    found = next((mode for mode in MODES if mode.startswith(value.lower())), "")
    if not found:
        raise ValueError(f"no mode begins with {value!r}: write one of {', '.join(MODES)}")
    return found


def _pattern(value: str) -> str:
    """A word of few may be begun only."""
    return value if set(value) & {"*", "?"} else f"{value}*"


def _take_age(match: re.Match[str], value: str, terms: _Terms) -> None:
    if match["out"]:
        raise ValueError("an age cannot be taken out: write age<1h for younger, age>1h for older")
    if match["sign"] == ":":
        raise ValueError("an age is less or more: write age<1h for younger, age>1h for older")
    if not value or value == "=":
        return
    span = spans.parse(value.lower().removeprefix("="))
    if span is None:
        if value.isdigit() and len(value) < 5:
            raise ValueError(f"{value} of what? write age{match['sign']}{value}m, or s, h, d")
        raise ValueError(f"{value!r} is no time up to {spans.MOST.days}d: write age<90s, age<15m, age>2h, age>7d")
    if match["sign"] == "<":
        terms.younger_than = min(span, terms.younger_than or span)
    else:
        terms.older_than = max(span, terms.older_than or span)
