"""Kubernetes Secrets printed into a text, as YAML or JSON: every value goes, whatever its name and form.

A text in which a Secret is printed loses the data of ConfigMaps printed beside it as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from responder.patterns import Hit, Pattern
from responder.redact.marks import Mark, is_marked

KIND = "secret-data"

PRINTED_SECRET = Pattern(r"(?m)\bkind\\?[\"']?\s*:\s*\\?[\"']?Secret(?:List)?\b")
_JSON_DATA = Pattern(r"(\\*\"(?:data|stringData)\\*\"\s*:\s*\{)([^{}]*)(\})")
_JSON_VALUE = Pattern(r"(:\s*\\*\")([^\"\\]*(?:\\[^\"][^\"\\]*)*)(\\*\")")
_YAML_DATA = Pattern(r"^([ \t]*(?:-[ \t]+)?)(?:data|stringData)[ \t]*:[ \t\r]*$")
_YAML_VALUE = Pattern(r"^([ \t]+(?:[\"']?[\w.\-]+[\"']?[ \t]*:[ \t]+)?[\"']?)([^\s\"'][^\r\"']*)([\"']?[ \t\r]*)$")


def without_printed_secrets(text: str, mark: Mark) -> str:
    """The text with the values of printed Secrets marked one by one; the names of their keys stay."""
    if not PRINTED_SECRET.found(text):
        return text

    def one(hit: Hit) -> str:
        return hit.text if not hit[2] or is_marked(hit[2]) else f"{hit[1]}{mark(KIND, hit[2])}{hit[3]}"

    def data(hit: Hit) -> str:
        return f"{hit[1]}{_JSON_VALUE.replace(hit[2], one)}{hit[3]}"

    lines = _JSON_DATA.replace(text, data).split("\n")
    return "\n".join(_YAML_VALUE.replace(line, one) if inside else line for inside, line in _with_place(lines))


def _with_place(lines: list[str]) -> Iterator[tuple[bool, str]]:
    """Each line, and whether it stands below `data` or `stringData`."""
    above = -1
    for line in lines:
        indent = len(line) - len(line.lstrip(" \t"))
        if above >= 0 and line.strip() and indent <= above:
            above = -1
        yield above >= 0, line
        begins = _YAML_DATA.first(line)
        if begins is not None:
            above = len(begins[1])
