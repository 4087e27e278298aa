"""What is watched: which namespaces, and which objects in them are left out. Pure.

Decided here: how names, globs and label selectors are read. Nothing is left out by default; `kube-system` is watched
like any other namespace (that it is never changed is the guard's business). A namespace or an object can leave itself
out by the label `clopus.dev/watch: "false"`.

Selectors: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from responder.detector.kinds import JUDGED_KINDS
from responder.domain.errors import ConfigError, ConfigErrors
from responder.domain.refs import ObjectRef, is_namespace_name
from responder.settings import Watch

WATCH_LABEL = "clopus.dev/watch"
_LEFT_OUT = "false"
_SETTINGS = "settings"
"""Stands for the file name in errors: the values may come from a file or from the environment."""
_GLOB = re.compile(r"[*?\[]")

_PLURALS = {f"{kind}s".casefold(): kind for kind in JUDGED_KINDS}
"""Kinds of owners are not all known here, so what is no kind passes, but for this slip."""

_SET = re.compile(r"(\S+?)\s+(in|notin)\s*\((.*)\)\Z", re.DOTALL)
_EQUAL = re.compile(r"([^\s=!]+)\s*(==|=|!=)\s*(.*)\Z", re.DOTALL)
_EXISTS = re.compile(r"(!?)\s*(.*)\Z", re.DOTALL)
_KEY = re.compile(
    r"(?:(?=[^/]{1,253}/)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z"
)
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")

_Requirement = Callable[[Mapping[str, str]], bool]


class _SelectorInvalid(Exception):
    """The text says what is wrong with which part."""


@dataclass(frozen=True, kw_only=True)
class LabelSelector:
    """All requirements hold. Without any, it matches everything."""

    text: str
    requirements: tuple[_Requirement, ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str, *, key: str) -> LabelSelector:
        """`a=b,c!=d,e in (x,y),!f,g`. `key` is the setting that holds it.

        Raises:
            ConfigError: it cannot be read.
        """
        try:
            requirements = tuple(_requirement(term) for term in _terms(text)) if text.strip() else ()
        except _SelectorInvalid as exc:
            raise ConfigError(path=_SETTINGS, key=key, problem=f"{text[:200]!r} is no label selector: {exc}") from exc
        return cls(text=text, requirements=requirements)

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(holds(labels) for holds in self.requirements)


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Read once from the settings; asked for each namespace and each object."""

    namespaces: tuple[str, ...]
    """Names and globs; empty takes all."""
    exclude_namespaces: tuple[str, ...] = ()
    exclude_kinds: frozenset[str] = frozenset()
    exclude_names: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    exclude_selector: LabelSelector | None = None

    @classmethod
    def from_settings(cls, watch: Watch, cluster_namespaces: tuple[str, ...] = ()) -> Scope:
        """As `of`."""
        return cls.of(
            namespaces=watch.namespaces or cluster_namespaces,
            namespace_selector=watch.namespace_selector,
            exclude_namespaces=watch.exclude_namespaces,
            exclude_kinds=watch.exclude_kinds,
            exclude_names=watch.exclude_names,
            exclude_selector=watch.exclude_selector,
        )

    @classmethod
    def of(
        cls,
        *,
        namespaces: tuple[str, ...] = (),
        namespace_selector: str = "",
        exclude_namespaces: tuple[str, ...] = (),
        exclude_kinds: tuple[str, ...] = (),
        exclude_names: tuple[str, ...] = (),
        exclude_selector: str = "",
    ) -> Scope:
        """The scope that the settings of section `watch` describe.

        Raises:
            ConfigErrors: a selector cannot be read, a name cannot be a namespace's, or a kind is a plural.
        """
        errors = [
            ConfigError(path=_SETTINGS, key="watch.namespaces", problem=f"{name!r} cannot be a namespace's name")
            for name in namespaces
            if not _GLOB.search(name) and not is_namespace_name(name)
        ]
        errors += [
            ConfigError(
                path=_SETTINGS, key="watch.exclude_kinds", problem=f"{kind!r} is no kind; did you mean {one!r}?"
            )
            for kind in exclude_kinds
            if (one := _PLURALS.get(kind.strip().casefold()))
        ]
        selectors: dict[str, LabelSelector | None] = {}
        for name, text in (("namespace_selector", namespace_selector), ("exclude_selector", exclude_selector)):
            try:
                # An empty selector matches everything; as a setting it means that there is none.
                selectors[name] = LabelSelector.parse(text, key=f"watch.{name}") if text.strip() else None
            except ConfigError as exc:
                errors.append(exc)
        if errors:
            raise ConfigErrors(errors)
        return cls(
            namespaces=tuple(dict.fromkeys(namespaces)),
            exclude_namespaces=exclude_namespaces,
            exclude_kinds=frozenset(kind.strip().casefold() for kind in exclude_kinds),
            exclude_names=exclude_names,
            **selectors,
        )

    @property
    def listed(self) -> tuple[str, ...] | None:
        """The namespaces to watch one by one, where only names are given: rights in each are enough. None: one watch
        over the whole cluster, and `selects` says what of it counts."""
        if not self.namespaces or any(_GLOB.search(name) for name in self.namespaces):
            return None
        return tuple(name for name in self.namespaces if not _matches(name, self.exclude_namespaces))

    @property
    def needs_namespace_labels(self) -> bool:
        """Without the right to read namespaces nothing would be selected."""
        return self.namespace_selector is not None

    def selects(self, namespace: str, labels: Mapping[str, str] | None) -> bool:
        """Whether the namespace is watched. `labels` None: they may not be read; no selector matches then."""
        if self.namespaces and not _matches(namespace, self.namespaces):
            return False
        if _matches(namespace, self.exclude_namespaces) or _opted_out(labels or {}):
            return False
        return self.namespace_selector is None or (labels is not None and self.namespace_selector.matches(labels))

    def excludes(
        self,
        kind: str,
        namespace: str,
        name: str,
        labels: Mapping[str, str],
        root: ObjectRef,
        *,
        root_labels: Mapping[str, str] | None = None,
    ) -> bool:
        """Whether the object is left out: itself, or by the root that owns it. `root_labels` None: not known."""
        within = name if kind == "Namespace" else namespace
        return (
            _matches(within, self.exclude_namespaces)
            or self._excludes_kind(kind, root)
            or _matches(name, self.exclude_names)
            or _matches(root.name, self.exclude_names)
            or self._excludes_labels(labels)
            or (root_labels is not None and self._excludes_labels(root_labels))
        )

    def _excludes_kind(self, kind: str, root: ObjectRef) -> bool:
        if not self.exclude_kinds:
            return False
        owners = {kind, root.kind}
        if kind == "Pod" and root.kind == "CronJob":
            owners.add("Job")  # the one between them
        return any(owner.casefold() in self.exclude_kinds for owner in owners)

    def _excludes_labels(self, labels: Mapping[str, str]) -> bool:
        return _opted_out(labels) or (self.exclude_selector is not None and self.exclude_selector.matches(labels))


def _matches(name: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _opted_out(labels: Mapping[str, str]) -> bool:
    return labels.get(WATCH_LABEL) == _LEFT_OUT


def _terms(text: str) -> Iterator[str]:
    """The parts between commas, but for those within parentheses."""
    depth = start = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth not in (0, 1):
            raise _SelectorInvalid("its parentheses do not match")
        if character == "," and depth == 0:
            yield text[start:position].strip()
            start = position + 1
    if depth:
        raise _SelectorInvalid("its parentheses do not match")
    yield text[start:].strip()


def _requirement(term: str) -> _Requirement:
    if not term:
        raise _SelectorInvalid("there is nothing between two commas, or after the last")
    if match := _SET.match(term):
        return _one_of(match[1], [value.strip() for value in match[3].split(",")], negated=match[2] == "notin")
    if match := _EQUAL.match(term):
        return _one_of(match[1], [match[3]], negated=match[2] == "!=")
    match = _EXISTS.match(term)
    assert match is not None
    key, absent = _checked_key(match[2]), bool(match[1])
    return lambda labels: (key in labels) is not absent


def _one_of(key: str, values: list[str], *, negated: bool) -> _Requirement:
    """A label that is not there is none of the values."""
    _checked_key(key)
    for value in values:
        if not _VALUE.match(value):
            raise _SelectorInvalid(f"{value!r} cannot be the value of label {key!r}")
    wanted = frozenset(values)
    return lambda labels: (key in labels and labels[key] in wanted) is not negated


def _checked_key(key: str) -> str:
    if not _KEY.match(key):
        raise _SelectorInvalid(f"{key!r} cannot be the name of a label")
    return key
