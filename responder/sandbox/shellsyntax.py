"""A small POSIX shell for the scripts that people put into `command: [sh, -c, ...]`.

Decides: splitting a script into a syntax tree, expanding words, and control flow (lists, `&&` and `||`, pipes,
redirections, if, while, until, for, groups, background jobs that are run to their end).
Leaves commands to the Box's `execute`. What it does not understand (functions, case, here-documents) it says on
standard error and ends with status 2, as a shell does at a syntax error: no script is ever half guessed.

Grammar: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_REDIRECTS: Final = ("2>>", "1>>", "2>&", "1>&", "2>", "1>", ">>", ">&", ">", "<")
_OPERATORS: Final = ("&&", "||", ";;", "<<", *_REDIRECTS, ";", "&", "|", "(", ")", "\n")
_RESERVED: Final = frozenset({"then", "do", "done", "fi", "else", "elif", "}"})
_UNSUPPORTED: Final = frozenset({"case", "function", "select"})
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


class ShellSyntaxError(ValueError):
    """The script cannot be read; the message names the unexpected part."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A run of characters of one word under one kind of quoting."""

    text: str
    expand: bool
    quoted: bool


Word = tuple[Piece, ...]


@dataclass(frozen=True, kw_only=True)
class Redirect:
    operator: str
    descriptor: int
    target: Word


@dataclass(frozen=True, kw_only=True)
class Simple:
    assignments: tuple[tuple[str, Word], ...]
    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@dataclass(frozen=True, kw_only=True)
class Pipe:
    negated: bool
    parts: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class AndOr:
    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, kw_only=True)
class Sequence:
    parts: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class If:
    branches: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True, kw_only=True)
class While:
    condition: Node
    body: Node
    until: bool


@dataclass(frozen=True, kw_only=True)
class For:
    name: str
    words: tuple[Word, ...]
    body: Node


Node = Simple | Pipe | AndOr | Sequence | If | While | For


@dataclass(frozen=True, kw_only=True)
class Token:
    operator: str = ""
    word: Word = ()

    @property
    def plain(self) -> str:
        """The word's text when nothing of it is quoted: only such words can be reserved."""
        return "".join(p.text for p in self.word) if not any(p.quoted for p in self.word) else ""


def tokenize(script: str) -> tuple[Token, ...]:
    """Raises ShellSyntaxError."""
    tokens: list[Token] = []
    at = 0
    while at < len(script):
        operator = next((o for o in _OPERATORS if script.startswith(o, at)), "")
        if operator:
            tokens.append(Token(operator=operator))
            at += len(operator)
        elif script[at] in " \t\r":
            at += 1
        elif script.startswith("\\\n", at):
            at += 2
        elif script[at] == "#":
            at = _find(script, "\n", at)
        else:
            word, at = _read_word(script, at)
            tokens.append(Token(word=word))
    return tuple(tokens)


def _find(script: str, needle: str, start: int) -> int:
    found = script.find(needle, start)
    return len(script) if found < 0 else found


def _read_word(script: str, at: int) -> tuple[Word, int]:
    pieces: list[Piece] = []
    while at < len(script) and script[at] not in " \t\r\n;&|<>()":
        match script[at]:
            case "'":
                end = _closing(script, "'", at + 1)
                pieces.append(Piece(text=script[at + 1 : end], expand=False, quoted=True))
                at = end + 1
            case '"':
                end = _closing_double(script, at + 1)
                pieces.append(Piece(text=script[at + 1 : end], expand=True, quoted=True))
                at = end + 1
            case "\\":
                pieces.append(Piece(text=script[at + 1 : at + 2], expand=False, quoted=True))
                at += 2
            case _:
                end = _plain_end(script, at)
                pieces.append(Piece(text=script[at:end], expand=True, quoted=False))
                at = end
    return tuple(pieces), at


def _plain_end(script: str, at: int) -> int:
    while at < len(script) and script[at] not in " \t\r\n;&|<>()'\"\\":
        if script[at] == "$" and script[at + 1 : at + 2] in ("(", "{"):
            at = dollar_end(script, at)
        else:
            at += 1
    return at


def dollar_end(script: str, at: int) -> int:
    """The index after the `$(...)` or `${...}` that starts at `at`. Raises ShellSyntaxError."""
    opening = script[at + 1]
    closing = ")" if opening == "(" else "}"
    depth, here = 0, at + 1
    while here < len(script):
        depth += (script[here] == opening) - (script[here] == closing)
        here += 1
        if depth == 0:
            return here
    raise ShellSyntaxError("unterminated quoted string")


def _closing(script: str, quote: str, start: int) -> int:
    end = script.find(quote, start)
    if end < 0:
        raise ShellSyntaxError("unterminated quoted string")
    return end


def _closing_double(script: str, at: int) -> int:
    while at < len(script) and script[at] != '"':
        if script[at] == "$" and script[at + 1 : at + 2] in ("(", "{"):
            at = dollar_end(script, at)
        else:
            at += 2 if script[at] == "\\" else 1
    if at >= len(script):
        raise ShellSyntaxError("unterminated quoted string")
    return at


def parse(script: str) -> Node:
    """Raises ShellSyntaxError."""
    parser = _Parser(tokenize(script))
    tree = parser.sequence(frozenset())
    if not parser.ended:
        raise ShellSyntaxError(f'"{parser.peek.plain or parser.peek.operator}" unexpected')
    return tree


class _Parser:
    """Recursive descent over the token list."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def peek(self) -> Token:
        return Token() if self.ended else self._tokens[self._at]

    def _next(self) -> Token:
        token = self.peek
        self._at += 1
        return token

    def _skip_newlines(self) -> None:
        while self.peek.operator == "\n":
            self._at += 1

    def _expect(self, word: str) -> None:
        self._skip_newlines()
        token = self._next()
        if token.plain != word:
            found = token.plain or token.operator.replace("\n", "newline") or "end of file"
            raise ShellSyntaxError(f'"{found}" unexpected (expecting "{word}")')

    def sequence(self, until: frozenset[str]) -> Sequence:
        parts: list[Node] = []
        while True:
            while self.peek.operator in ("\n", ";", "&"):
                self._at += 1
            if self.ended or self.peek.plain in until or self.peek.operator == ")":
                return Sequence(parts=tuple(parts))
            if self.peek.plain in _RESERVED:
                raise ShellSyntaxError(f'"{self.peek.plain}" unexpected')
            parts.append(self._and_or())

    def _and_or(self) -> Node:
        first = self._pipe()
        rest: list[tuple[str, Node]] = []
        while self.peek.operator in ("&&", "||"):
            operator = self._next().operator
            self._skip_newlines()
            rest.append((operator, self._pipe()))
        return AndOr(first=first, rest=tuple(rest)) if rest else first

    def _pipe(self) -> Node:
        negated = self.peek.plain == "!"
        self._at += negated
        parts = [self._command()]
        while self.peek.operator == "|":
            self._at += 1
            self._skip_newlines()
            parts.append(self._command())
        return Pipe(negated=negated, parts=tuple(parts)) if negated or len(parts) > 1 else parts[0]

    def _command(self) -> Node:
        token = self.peek
        if token.plain in _UNSUPPORTED or token.operator in ("<<", ";;"):
            raise ShellSyntaxError(f'"{token.plain or token.operator}" is not simulated')
        match token.plain:
            case "if":
                return self._if()
            case "while" | "until":
                return self._while()
            case "for":
                return self._for()
            case "{":
                self._at += 1
                return self._closed("}")
        if token.operator == "(":
            self._at += 1
            body = self.sequence(frozenset())
            if self._next().operator != ")":
                raise ShellSyntaxError('end of file unexpected (expecting ")")')
            return body
        return self._simple()

    def _closed(self, word: str) -> Node:
        body = self.sequence(frozenset({word}))
        self._expect(word)
        return body

    def _if(self) -> If:
        branches: list[tuple[Node, Node]] = []
        otherwise: Node | None = None
        while self._next().plain in ("if", "elif"):
            condition = self._closed("then")
            branches.append((condition, self.sequence(frozenset({"elif", "else", "fi"}))))
            if self.peek.plain == "else":
                self._at += 1
                otherwise = self.sequence(frozenset({"fi"}))
            if self.peek.plain == "fi":
                self._at += 1
                return If(branches=tuple(branches), otherwise=otherwise)
        raise ShellSyntaxError('end of file unexpected (expecting "fi")')

    def _while(self) -> While:
        until = self._next().plain == "until"
        condition = self._closed("do")
        return While(condition=condition, body=self._closed("done"), until=until)

    def _for(self) -> For:
        self._at += 1
        name = self._next().plain
        self._expect("in")
        words: list[Word] = []
        while self.peek.word:
            words.append(self._next().word)
        while self.peek.operator in ("\n", ";"):
            self._at += 1
        self._expect("do")
        return For(name=name, words=tuple(words), body=self._closed("done"))

    def _simple(self) -> Simple:
        assignments: list[tuple[str, Word]] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while not self.ended:
            token = self.peek
            if token.operator in _REDIRECTS:
                redirects.append(self._redirect())
            elif token.word:
                self._at += 1
                assigned = None if words else _assignment(token.word)
                assignments.append(assigned) if assigned else words.append(token.word)
            else:
                break
        if not (assignments or words or redirects):
            raise ShellSyntaxError(f'"{self.peek.operator or "end of file"}" unexpected')
        return Simple(assignments=tuple(assignments), words=tuple(words), redirects=tuple(redirects))

    def _redirect(self) -> Redirect:
        written = self._next().operator
        operator = written.lstrip("12")
        descriptor = 2 if written.startswith("2") else 0 if operator == "<" else 1
        target = self._next().word
        if not target:
            raise ShellSyntaxError("newline unexpected")
        return Redirect(operator=operator, descriptor=descriptor, target=target)


def _assignment(word: Word) -> tuple[str, Word] | None:
    head = word[0]
    found = None if head.quoted else _ASSIGNMENT.match(head.text)
    if found is None:
        return None
    rest = head.text[found.end() :]
    value = (Piece(text=rest, expand=True, quoted=False), *word[1:]) if rest else word[1:]
    return found.group()[:-1], value
