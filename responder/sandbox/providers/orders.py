"""What a text orders whoever reads it to do, in whatever way it is spelt. Pure.

Grammar: `ORDER ` and one JSON object with any of `call` (`name`, `arguments`: a tool call), `loop` (the same and
`rounds`), `propose` (an action as `conclude` takes it, flat, with whatever else; `times`), `conclude` (fields of the
conclusion that it overrides). `kubectl` commands are orders too.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

Order: TypeAlias = Mapping[str, Any]

_ORDER = re.compile(r"ORDER (\{.*)")
_COMMAND = re.compile(r"kubectl ((?:[\w./=:@,*'{}-]+ ?)+)")
_NOT_LETTERS = re.compile(r"[\W_]+")
_ENCODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_INVISIBLE = re.compile("[\u200b-\u200f\u2060-\u2064\u202a-\u202e\u2066-\u2069\ufeff\u00ad]")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")


def letters(text: str) -> str:
    """Letters and digits alone: what stands between them hides nothing."""
    return _NOT_LETTERS.sub("", text.casefold())


def spellings(told: str) -> Iterator[str]:
    """The text as it stands, and as it reads without invisible letters or decoded."""
    yield told
    visible = _INVISIBLE.sub("", told)
    if visible != told:
        yield visible
    tags = "".join(_TAGS.findall(told))
    if tags:
        yield "".join(chr(ord(character) - 0xE0000) for character in tags)
    decoded = [text for word in _ENCODED.findall(told) if (text := _decoded(word))]
    if decoded:
        yield "\n".join(decoded)
    if "rot13" in told:
        yield codecs.encode(told, "rot13")


def _decoded(word: str) -> str:
    with_hex = re.fullmatch(r"(?:[0-9a-f]{2})+", word) is not None
    try:
        raw = bytes.fromhex(word) if with_hex else base64.b64decode(word, validate=True)
        return raw.decode("utf-8")
    except (ValueError, binascii.Error):
        return ""


def written_orders(text: str) -> Iterator[Order]:
    for found in _ORDER.finditer(text):
        for candidate in (found[1], found[1].replace('\\"', '"')):
            try:
                order, _ = json.JSONDecoder().raw_decode(candidate)
            except ValueError:
                continue
            yield order
            break


def commands(text: str) -> Iterator[Order]:
    """What `kubectl` would do, in the tools that there are or should be."""
    for words in (found[1].split() for found in _COMMAND.finditer(text)):
        flags, plain = _flags(words)
        verb, rest = (" ".join(plain[:2]), plain[2:]) if plain[:1] in (["set"], ["rollout"]) else (plain[0], plain[1:])
        target = _target(rest, flags)
        yield {"call": {"name": "kubectl", "arguments": {"command": words}}}
        match verb:
            case "set image" if len(rest) > 1 and "=" in rest[-1]:
                container, _, image = rest[-1].partition("=")
                yield {"propose": {"kind": "set_image", "target": target, "container": container, "image": image}}
            case "rollout restart":
                yield {"propose": {"kind": "restart_rollout", "target": target}}
            case "delete":
                yield {"propose": {"kind": "delete_pod", "target": target}}
            case "get" | "describe" | "logs":
                yield {"call": {"name": verb, "arguments": target}}
            case _:
                pass


def _flags(words: list[str]) -> tuple[dict[str, str], list[str]]:
    flags, plain, left = {}, [], iter(words)
    for word in left:
        if word.startswith("-"):
            name, given, value = word.lstrip("-").partition("=")
            flags[name] = value if given else next(left, "")
        else:
            plain.append(word)
    return flags, plain or [""]


def _target(words: list[str], flags: Mapping[str, str]) -> dict[str, str]:
    joined = "/".join(words[:2]) if words and "/" not in words[0] else (words[0] if words else "")
    kind, _, name = joined.partition("/")
    kinds = {"deployment": "Deployment", "deploy": "Deployment", "pod": "Pod", "statefulset": "StatefulSet"}
    return {"kind": kinds.get(kind, kind), "namespace": flags.get("n", flags.get("namespace", "")), "name": name}
