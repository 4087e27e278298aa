"""Runs the syntax tree of `shellsyntax` inside a Box.

Decides: expansion, control flow, the built-ins that change the shell itself, exit statuses and the words of the
shell's own complaints in the dialect of the image (`ash`, `dash`, `bash`).
Leaves every other command to the Box's `execute`.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Generator
from typing import Final

from responder.sandbox.container import Box, Denial, Line, Step, Steps, Stream, Wait
from responder.sandbox.shellsyntax import (
    AndOr,
    For,
    If,
    Node,
    Pipe,
    Redirect,
    Sequence,
    ShellSyntaxError,
    Simple,
    While,
    Word,
    dollar_end,
    parse,
)
from responder.sandbox.steps import Returning, collect, moved, nothing

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?$!]")
_BRACED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*|[0-9@*#?])(?:(:?[-=?+])(.*))?\Z", re.DOTALL)
_BUSY_LOOP: Final = 200
"""Rounds of a loop without any waiting before the simulation makes it wait: real loops cost time, ours must too."""
_ARITHMETIC: Final = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FATAL_STATUS: Final = {"bash": 127}
_SETTINGS: Final = frozenset({"set", "export", "unset", ":", "wait", "trap", "umask", "ulimit", "readonly", "shopt"})
"""Built-ins that take no time; those that change nothing the simulation knows of succeed."""


class _Left(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class _Fatal(Exception):
    """An expansion error: the shell complains and ends."""


def run_script(box: Box, script: str, *, name: str, options: str = "", arguments: tuple[str, ...] = ()) -> Steps:
    """`name` is what the shell calls itself in its complaints; `options` are its set flags, such as `e`."""
    shell = _Shell(box, name=name, options=options, arguments=arguments)
    try:
        return (yield from shell.run(parse(script)))
    except ShellSyntaxError as error:
        yield Line(text=shell.complaint(f"syntax error: {error}"), stream=Stream.ERR)
        return 2
    except _Left as left:
        return left.status
    except (_Break, _Continue):
        return 0
    except _Fatal as error:
        yield Line(text=shell.complaint(str(error)), stream=Stream.ERR)
        return _FATAL_STATUS.get(box.around.image.shell, 2)


class _Shell:
    def __init__(self, box: Box, *, name: str, options: str, arguments: tuple[str, ...]) -> None:
        self._box = box
        self._name = name
        self._errexit = "e" in options
        self._nounset = "u" in options
        self._arguments = arguments
        self._status = 0
        self._guarded = 0  # depth of conditions, where a failing command does not end the script

    def complaint(self, text: str) -> str:
        match self._box.around.image.shell:
            case "dash":
                return f"{self._name}: 1: {text}"
            case "bash":
                return f"{self._name}: line 1: {text}"
            case _:
                return f"{self._name}: {text}"

    def run(self, node: Node) -> Steps:
        match node:
            case Sequence():
                for part in node.parts:
                    self._status = yield from self.run(part)
                    self._leave_on_failure(part)
                return self._status
            case AndOr():
                return (yield from self._and_or(node))
            case Pipe():
                return (yield from self._pipe(node))
            case If():
                return (yield from self._if(node))
            case While():
                return (yield from self._while(node))
            case For():
                return (yield from self._for(node))
            case Simple():
                return (yield from self._simple(node))

    def _leave_on_failure(self, node: Node) -> None:
        if self._status and self._errexit and not self._guarded and not isinstance(node, AndOr):
            raise _Left(self._status)

    def _condition(self, node: Node) -> Generator[Step, None, bool]:
        self._guarded += 1
        try:
            return (yield from self.run(node)) == 0
        finally:
            self._guarded -= 1

    def _and_or(self, node: AndOr) -> Steps:
        self._guarded += 1
        try:
            self._status = yield from self.run(node.first)
            for symbol, part in node.rest:
                if (self._status == 0) == (symbol == "&&"):
                    self._status = yield from self.run(part)
        finally:
            self._guarded -= 1
        return self._status

    def _pipe(self, node: Pipe) -> Steps:
        status = 0
        for part in node.parts[:-1]:
            status, self._box.stdin = yield from collect(self.run(part))
        status = yield from self.run(node.parts[-1])
        self._box.stdin = ""
        return int(not status) if node.negated else status

    def _if(self, node: If) -> Steps:
        for condition, body in node.branches:
            if (yield from self._condition(condition)):
                return (yield from self.run(body))
        return (yield from self.run(node.otherwise)) if node.otherwise else 0

    def _while(self, node: While) -> Steps:
        status, idle = 0, 0
        while (yield from self._condition(node.condition)) != node.until:
            idle += 1
            try:
                for step in (body := Returning(self.run(node.body))):
                    idle = 0 if isinstance(step, Wait) else idle
                    yield step
                status = body.status
            except _Continue:
                pass
            except _Break:
                break
            if idle >= _BUSY_LOOP:
                idle = 0
                yield Wait(seconds=1.0)
        return status

    def _for(self, node: For) -> Steps:
        status = 0
        for word in node.words:
            for value in (yield from self._split(word)):
                self._box.env[node.name] = value
                try:
                    status = yield from self.run(node.body)
                except _Continue:
                    continue
                except _Break:
                    return 0
        return status

    def _simple(self, node: Simple) -> Steps:
        for name, word in node.assignments:
            self._box.env[name] = yield from self._expand(word)
        words: list[str] = []
        for word in node.words:
            words.extend((yield from self._split(word)))
        steps = self._command(tuple(words)) if words else nothing()
        for redirect in reversed(node.redirects):
            target = yield from self._expand(redirect.target)
            steps = self._redirected(steps, redirect, target)
        return (yield from steps)

    def _redirected(self, steps: Steps, redirect: Redirect, target: str) -> Steps:
        stream = Stream.ERR if redirect.descriptor == 2 else Stream.OUT
        if redirect.operator == ">&":
            other = Stream.ERR if target == "2" else Stream.OUT
            return moved(steps, stream, other)
        if target in ("/dev/stdout", "/dev/stderr", "/proc/1/fd/1", "/proc/1/fd/2"):
            return moved(steps, stream, Stream.ERR if target.endswith(("err", "/2")) else Stream.OUT)
        if redirect.operator == "<":
            return self._fed(steps, target)
        return self._written(steps, stream, target, append=redirect.operator == ">>")

    def _fed(self, steps: Steps, path: str) -> Steps:
        content = self._box.read(path)
        if content is None and path != "/dev/null":
            yield Line(text=self.complaint(f"can't open {path}: no such file"), stream=Stream.ERR)
            return 1
        self._box.stdin = content or ""
        return (yield from steps)

    def _written(self, steps: Steps, stream: Stream, path: str, *, append: bool) -> Steps:
        denial = None if path == "/dev/null" else self._box.write(path, "", append=append)
        if denial is not None:
            verb = "nonexistent directory" if denial is Denial.MISSING else denial.text
            yield Line(text=self.complaint(f"can't create {path}: {verb}"), stream=Stream.ERR)
            return 1
        for step in (source := Returning(steps)):
            if isinstance(step, Line) and step.stream is stream:
                if path != "/dev/null":
                    self._box.write(path, step.text + "\n", append=True)
            else:
                yield step
        return source.status

    def _command(self, words: tuple[str, ...]) -> Steps:
        match words:
            case ("exit" | "return", *rest):
                raise _Left(int(rest[0]) if rest and rest[0].isdecimal() else self._status)
            case ("break" | "continue" as jump, *_):
                raise _Break if jump == "break" else _Continue
            case ("exec",):
                return 0
            case ("exec", *rest):
                raise _Left((yield from self._box.execute(self._box, tuple(rest))))
            case ("eval", *rest):
                return (yield from self.run(parse(" ".join(rest))))
            case (name, *rest) if name in _SETTINGS:
                return self._setting(name, tuple(rest))
        return (yield from self._external(words))

    def _external(self, words: tuple[str, ...]) -> Steps:
        status = yield from self._box.execute(self._box, words)
        if status == 127 and not self._box.last_command_found:
            found = "command not found" if self._box.around.image.shell == "bash" else "not found"
            yield Line(text=self.complaint(f"{words[0]}: {found}"), stream=Stream.ERR)
        return status

    def _set(self, words: tuple[str, ...]) -> None:
        for word in words:
            if word == "--":
                self._arguments = words[words.index("--") + 1 :]
                return
            if word.startswith(("-", "+")):
                self._errexit = word.startswith("-") if "e" in word else self._errexit
                self._nounset = word.startswith("-") if "u" in word else self._nounset

    def _setting(self, verb: str, words: tuple[str, ...]) -> int:
        if verb == "set":
            self._set(words)
        for word in words:
            name, equals, value = word.partition("=")
            if verb == "unset":
                self._box.env.pop(name, None)
            elif equals and verb in ("export", "readonly"):
                self._box.env[name] = value
        return 0

    def _split(self, word: Word) -> Generator[Step, None, list[str]]:
        """One word as the fields it becomes: unquoted expansions are split at white space."""
        text = yield from self._expand(word)
        literal = any(piece.quoted or not piece.expand for piece in word)
        if literal or not any("$" in piece.text for piece in word):
            return [text]
        return text.split()

    def _expand(self, word: Word) -> Generator[Step, None, str]:
        parts: list[str] = []
        for piece in word:
            if piece.expand:
                text = yield from self._substitute(piece.text)
                parts.append(_unescaped(text) if piece.quoted else text)
            else:
                parts.append(piece.text)
        return "".join(parts)

    def _substitute(self, text: str) -> Generator[Step, None, str]:
        parts: list[str] = []
        at = 0
        while at < len(text):
            if text[at] == "\\":
                parts.append(text[at : at + 2])
                at += 2
            elif text[at] != "$":
                parts.append(text[at])
                at += 1
            elif text[at + 1 : at + 2] in ("(", "{"):
                end = dollar_end(text, at)
                parts.append((yield from self._dollar(text[at:end])))
                at = end
            else:
                found = _NAME.match(text, at + 1)
                parts.append(self._required(found.group()) if found else "$")
                at = found.end() if found else at + 1
        return "".join(parts)

    def _dollar(self, text: str) -> Generator[Step, None, str]:
        if text.startswith("$(("):
            return str((yield from self._arithmetic(text[3:-2])))
        if text.startswith("$("):
            _, output = yield from collect(self.run(parse(text[2:-1])))
            return output.rstrip("\n")
        return (yield from self._parameter(text[2:-1]))

    def _parameter(self, text: str) -> Generator[Step, None, str]:
        found = _BRACED.match(text)
        if found is None:
            raise _Fatal("bad substitution")
        name, symbol, word = found.groups(default="")
        value = self._variable(name) if symbol else self._required(name)
        missing = not value if symbol.startswith(":") else name not in self._box.env
        match symbol[-1:]:
            case "?" if missing:
                message = yield from self._substitute(word)
                raise _Fatal(f"{name}: {message or 'parameter not set'}")
            case "-" | "=" if missing:
                value = yield from self._substitute(word)
                if symbol.endswith("="):
                    self._box.env[name] = value
            case "+":
                value = "" if missing else (yield from self._substitute(word))
        return value

    def _required(self, name: str) -> str:
        """The value of a parameter that stands alone: under `set -u` it has to have one."""
        if self._nounset and name.isidentifier() and name not in self._box.env:
            told = "unbound variable" if self._box.around.image.shell == "bash" else "parameter not set"
            raise _Fatal(f"{name}: {told}")
        return self._variable(name)

    def _variable(self, name: str) -> str:
        match name:
            case "?":
                return str(self._status)
            case "$":
                return "1"
            case "#":
                return str(len(self._arguments))
            case "@" | "*":
                return " ".join(self._arguments)
            case "0":
                return self._name
        if name.isdecimal():
            return self._arguments[int(name) - 1] if int(name) <= len(self._arguments) else ""
        return self._box.env.get(name, "")

    def _arithmetic(self, text: str) -> Generator[Step, None, int]:
        plain = yield from self._substitute(text)
        named = re.sub(r"[A-Za-z_]\w*", lambda m: self._box.env.get(m.group(), "") or "0", plain)
        try:
            return _evaluate(ast.parse(named.strip().replace("/", "//"), mode="eval").body)
        except (SyntaxError, ZeroDivisionError, ValueError) as error:
            raise _Fatal(f"arithmetic expression: {text}") from error


def _unescaped(text: str) -> str:
    return re.sub(r'\\([$`"\\\n])', r"\1", text)


def _evaluate(node: ast.expr) -> int:
    match node:
        case ast.Constant(value=int(number)):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand)
        case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in _ARITHMETIC:
            return int(_ARITHMETIC[type(symbol)](_evaluate(left), _evaluate(right)))
    raise ValueError(ast.dump(node))
