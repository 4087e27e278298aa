"""Which environment variable a program says it misses. The name it gives is a word of its log: shown, never acted on.

The sentences are those of shells (`set -u`), Python, Node, Spring, Go's envconfig, database images, and of people.
"""

from __future__ import annotations

from responder.patterns import Pattern

_LAST_LINES = 40
_NAME = r"[\"'`(]?\$?\b([A-Z][A-Z0-9_]{1,63})\b[\"'`)]?"
_ENV = r"(?i:(?:environment|env) ?(?:variables?|vars?|settings?)?)"
_ABSENT = r"(?i:not set|unset|missing|required|empty|not defined|undefined|not provided|not found)"

_SENTENCES = tuple(
    Pattern(expression)
    for expression in (
        rf"KeyError: {_NAME}",
        rf"(?i:missing|required|undefined|unset|no) (?i:required )?{_ENV}:? *{_NAME}",
        rf"{_ENV} {_NAME} (?i:is |was |must |has |not )",
        rf"{_NAME}:? (?i:environment variable )?(?i:is|was) {_ABSENT}",
        rf"{_NAME} (?i:must|should|needs to|has to) be (?i:set|provided|defined|specified|configured|given)",
        rf"(?i:must|need to|please|have to) (?i:specify|set|provide|define|export) (?i:the )?(?:{_ENV} )?{_NAME}",
        rf"{_NAME}: (?i:unbound variable|parameter not set|parameter null or not set|must be set|{_ABSENT})",
        rf"(?i:missing|required)[^A-Z\n]{{0,60}}[\"'`:]\s*{_NAME}[^:]*$",
        rf"(?i:key|variable|value|config|setting|property) {_NAME} (?i:is )?{_ABSENT}",
        rf"(?i:could not|couldn't|cannot|can't|unable to|failed to) (?i:find|read|get|load|resolve) "
        rf"(?:{_ENV} )?{_NAME}",
        r"process\.env\.([A-Z][A-Z0-9_]{1,63})\b",
        rf"Could not resolve placeholder {_NAME}",
        rf"required key {_NAME}",
    )
)
_NO_VARIABLES = frozenset(
    {"ERROR", "FATAL", "INFO", "WARN", "WARNING", "PANIC", "DEBUG", "CRITICAL", "HTTP", "HTTPS", "URL", "TLS", "SSL"}
)
_SURVIVED = Pattern(r"(?i)\bdefault|\bwarn|\binfo\b|\bdebug\b|ignor|optional|deprecat")


def missing_variable(lines: tuple[str, ...]) -> str:
    """The variable of the last such sentence; empty where the program says no such thing."""
    for line in reversed(lines[-_LAST_LINES:]):
        if _SURVIVED.found(line):
            continue
        for sentence in _SENTENCES:
            hit = sentence.first(line)
            if hit is not None and hit[1] not in _NO_VARIABLES:
                return hit[1]
    return ""
