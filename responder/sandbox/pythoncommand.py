"""`python -c CODE` and `python -m http.server`, for the one-line programs that people put into container specs.

Decides: a handful of statements (print, time.sleep, sys.exit, raise, os.environ[...], large bytearrays, endless
loops), taken one after the other; any other statement is passed over in silence.
"""

from __future__ import annotations

import math
import re
from typing import Final

from responder.sandbox.container import FOREVER, Allocate, Box, Line, Listen, Steps, Stream, Wait

_PRODUCT: Final = re.compile(r"(?:bytearray\(|[bB]?['\"].['\"]\s*\*\s*)\s*([0-9][0-9_]*(?:\s*\*\*?\s*[0-9][0-9_]*)*)")
_PRINT: Final = re.compile(r"print\(\s*['\"](.*?)['\"]")
_SLEEP: Final = re.compile(r"sleep\(\s*([0-9]+(?:\.[0-9]+)?)")
_EXIT: Final = re.compile(r"(?:exit|SystemExit)\(\s*([0-9]*)")
_RAISE: Final = re.compile(r"raise\s+(\w+)(?:\((?:['\"](.*?)['\"])?\))?")
_ENVIRON: Final = re.compile(r"os\.environ\[['\"](\w+)['\"]\]")
_LARGEST_EXPONENT: Final = 64
_FILL_SECONDS: Final = 1.0


def python(box: Box, words: tuple[str, ...]) -> Steps:
    match words[1:]:
        case ("-m", "http.server", *rest):
            port = int(rest[0]) if rest and rest[0].isdecimal() else 8000
            yield Listen(port=port, paths=("*",))
            yield Wait(seconds=FOREVER)
            return 0
        case ("-c", code, *_):
            return (yield from _statements(box, code))
        case (path, *_) if not path.startswith("-"):
            content = box.read(path)
            if content is not None:
                return (yield from _statements(box, content))
            text = f"{words[0]}: can't open file '{path}': [Errno 2] No such file or directory"
            yield Line(text=text, stream=Stream.ERR)
            return 2
    return 0


def _statements(box: Box, code: str) -> Steps:
    for statement in re.split(r"[;\n]", code):
        end = yield from _statement(box, statement.strip())
        if end >= 0:
            return end
    if re.search(r"while\s+(?:True|1)\s*:", code):
        yield Wait(seconds=FOREVER)
    return 0


def _statement(box: Box, text: str) -> Steps:
    """Returns the exit code that the statement ends the program with, or -1."""
    if (name := _ENVIRON.search(text)) and name[1] not in box.env:
        return (yield from _raised("KeyError", f"'{name[1]}'"))
    if error := _RAISE.match(text):
        if error[1] != "SystemExit":
            return (yield from _raised(error[1], error[2] or ""))
        return int(((found := _EXIT.search(text)) is not None and found[1]) or 0)
    if found := _EXIT.search(text):
        return int(found[1] or 0)
    if printed := _PRINT.search(text):
        yield Line(text=printed[1])
    if product := _PRODUCT.search(text):
        yield Wait(seconds=_FILL_SECONDS)
        yield Allocate(size=_size(product[1]))
    if slept := _SLEEP.search(text):
        yield Wait(seconds=float(slept[1]))
    return -1


def _size(text: str) -> int:
    """The value of a product such as `250 * 1024 ** 2`."""
    factors = []
    for factor in re.split(r"(?<!\*)\*(?!\*)", text.replace("_", "")):
        base, _, exponent = factor.partition("**")
        factors.append(int(base) ** min(int(exponent or 1), _LARGEST_EXPONENT))
    return math.prod(factors)


def _raised(name: str, message: str) -> Steps:
    for text in (
        "Traceback (most recent call last):",
        '  File "<string>", line 1, in <module>',
        f"{name}: {message}" if message else name,
    ):
        yield Line(text=text, stream=Stream.ERR)
    return 1
