"""Alertmanager's matcher syntax: text to `Matcher`, and `Matcher` to a test of labels.

One text holds one matcher: `label OP value` with OP one of `=`, `!=`, `=~`, `!~`. Label and value may stand in double
quotes, where `\\"`, `\\\\` and `\\n` are escapes and every other backslash is kept, so that `"\\d+"` means what it
says. Regular expressions are RE2 and anchored at both ends; an absent label counts as the empty text.

Format: https://prometheus.io/docs/alerting/latest/configuration/#matcher
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import re2

from responder.domain.rule import Matcher, MatchOp

MAX_LENGTH = 4096
"""Characters of one matcher."""

_OPERATORS = (MatchOp.MATCHES, MatchOp.NOT_MATCHES, MatchOp.NOT_EQUAL, MatchOp.EQUAL)
"""Longest first: `=~` begins with `=`."""
_RESERVED = frozenset("{}!=~,\\'\"`")
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n"}

Test = Callable[[str], bool]


class MatcherInvalid(ValueError):
    """The text is no matcher; the message says why."""


def parse(text: str) -> Matcher:
    """Read one matcher.

    Raises:
        MatcherInvalid: syntax, or an expression that RE2 refuses.
    """
    if len(text) > MAX_LENGTH:
        raise MatcherInvalid(f"longer than {MAX_LENGTH} characters")
    if text.lstrip().startswith("{"):
        raise MatcherInvalid("write each matcher as an item of its own, without braces")
    label, rest = _token(text.strip(), "label name")
    operator = next((op for op in _OPERATORS if rest.startswith(op)), None)
    if operator is None:
        raise MatcherInvalid('expected LABEL=VALUE with one of = != =~ !~, such as namespace=~"shop-.*"')
    value = _value(rest[len(operator) :].lstrip())
    matcher = Matcher(label=label, op=operator, value=value)
    test_of(matcher)
    return matcher


def test_of(matcher: Matcher) -> Test:
    """The test of one label value.

    Raises:
        MatcherInvalid: RE2 refuses the expression.
    """
    value = matcher.value
    match matcher.op:
        case MatchOp.EQUAL:
            return lambda found: found == value
        case MatchOp.NOT_EQUAL:
            return lambda found: found != value
        case MatchOp.MATCHES:
            return _expression(value)
        case MatchOp.NOT_MATCHES:
            matches = _expression(value)
            return lambda found: not matches(found)


def accepts(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    return test_of(matcher)(labels.get(matcher.label, ""))


@functools.lru_cache(maxsize=4096)
def _expression(pattern: str) -> Test:
    options = re2.Options()
    options.log_errors = False  # the library writes to stderr by itself otherwise
    try:
        compiled = re2.compile(pattern.encode("utf-8", "surrogatepass"), options)
    except re2.error as exc:
        detail = exc.args[0] if exc.args else ""
        words = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
        raise MatcherInvalid(f"not an RE2 expression: {words}") from exc
    # As bytes, because a label may hold what UTF-8 cannot, and a sender's oddity must not end the matching.
    return lambda found: compiled.fullmatch(found.encode("utf-8", "replace")) is not None


def _value(text: str) -> str:
    if not text:
        raise MatcherInvalid('the value is missing; the empty text is written as ""')
    value, rest = _token(text, "value")
    if rest.startswith(","):
        raise MatcherInvalid("write each matcher as an item of its own")
    if rest:
        raise MatcherInvalid(f"{rest!r} follows the value; put the value in double quotes")
    return value


def _token(text: str, what: str) -> tuple[str, str]:
    """The first token, quoted or not, and what follows it."""
    if text.startswith('"'):
        token, rest = _quoted(text)
    else:
        end = next((at for at, char in enumerate(text) if char in _RESERVED or char.isspace()), len(text))
        token, rest = text[:end], text[end:]
        if not token and what == "value":
            raise MatcherInvalid(f"put the value in double quotes: {text!r}")
    if not token and what == "label name":
        raise MatcherInvalid("the label name is missing")
    return token, rest.lstrip()


def _quoted(text: str) -> tuple[str, str]:
    characters: list[str] = []
    at = 1
    while at < len(text):
        char = text[at]
        if char == '"':
            return "".join(characters), text[at + 1 :]
        if char == "\\" and at + 1 < len(text):
            at += 1
            characters.append(_ESCAPES.get(text[at], "\\" + text[at]))
        else:
            characters.append(char)
        at += 1
    raise MatcherInvalid("the closing double quote is missing")
