"""The ordinary commands of base images, as far as container specs use them.

Decides: what each prints, how long it takes, whether it fails and with which status. A command that an image has but
that is not simulated here does nothing and succeeds.
Leaves scripts to `shell` and servers to `programs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final
from urllib.parse import urlsplit

from responder.sandbox.container import FOREVER, Allocate, Box, Line, Listen, Steps, Stream, Wait, command_exists

Command = Callable[[Box, tuple[str, ...]], Steps]
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "b": 1}
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmg]?)i?b?\Z", re.IGNORECASE)
_SLEEP_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FILL_SECONDS: Final = 1.0


def _say(text: str, *, error: bool = False) -> Line:
    return Line(text=text, stream=Stream.ERR if error else Stream.OUT)


def parse_size(text: str) -> int | None:
    """Bytes of `250M`, `1g`, `4096`; None when it is not a size."""
    found = _SIZE.match(text)
    return int(float(found[1]) * _UNITS[found[2].lower()]) if found else None


def _echo(box: Box, words: tuple[str, ...]) -> Steps:
    arguments = list(words[1:])
    options = ""
    while arguments and re.fullmatch(r"-[neE]+", arguments[0]):
        options += arguments.pop(0)
    text = " ".join(arguments)
    if "e" in options or box.around.image.shell == "dash":
        text = text.replace("\\n", "\n").replace("\\t", "\t")
    for line in text.split("\n"):
        yield _say(line)
    return 0


def _printf(box: Box, words: tuple[str, ...]) -> Steps:
    form = (words[1] if len(words) > 1 else "").replace("\\n", "\n").replace("\\t", "\t")
    values = iter(words[2:])
    text = re.sub(r"%[0-9.-]*[sdifq]", lambda _: next(values, ""), form).replace("%%", "%")
    for line in text.removesuffix("\n").split("\n"):
        yield _say(line)
    return 0


def _sleep(box: Box, words: tuple[str, ...]) -> Steps:
    seconds = 0.0
    for word in words[1:]:
        found = re.fullmatch(r"([0-9]*\.?[0-9]+)([smhd]?)", word)
        if word in ("infinity", "inf"):
            seconds = FOREVER
        elif found is None:
            yield _say(f"sleep: invalid number '{word}'", error=True)
            return 1
        else:
            seconds += float(found[1]) * _SLEEP_UNITS[found[2] or "s"]
    yield Wait(seconds=seconds)
    return 0


def _cat(box: Box, words: tuple[str, ...]) -> Steps:
    status = 0
    paths = [word for word in words[1:] if not word.startswith("-")]
    if not paths:
        yield from _lines(box.stdin)
    for path in paths:
        content = box.read(path)
        if content is None:
            quoted = f"can't open '{path}'" if box.around.image.shell == "ash" else path
            reason = "Is a directory" if box.is_directory(path) else "No such file or directory"
            yield _say(f"cat: {quoted}: {reason}", error=True)
            status = 1
        else:
            yield from _lines(content)
    return status


def _lines(text: str) -> Steps:
    for line in text.splitlines():
        yield _say(line)
    return 0


def _tail(box: Box, words: tuple[str, ...]) -> Steps:
    paths = [word for word in words[1:] if word.startswith("/")]
    if "/dev/zero" in paths:
        yield from _fill((box.around.memory_limit or 0) + 1)
    if any(word in ("-f", "-F", "-n0f") or word.startswith("--follow") for word in words):
        yield from _lines("".join(box.read(path) or "" for path in paths))
        yield Wait(seconds=FOREVER)
    elif paths:
        return (yield from _cat(box, ("cat", *paths)))
    else:
        yield from _fill(len(box.stdin))
        yield from _lines(box.stdin)
    return 0


def _head(box: Box, words: tuple[str, ...]) -> Steps:
    """`head -c SIZE /dev/zero` is how people fill memory with base images: the reader of the pipe holds it all."""
    if "/dev/zero" in words or "/dev/urandom" in words:
        size = next((found for word in words[1:] if (found := parse_size(word.removeprefix("-c"))) is not None), 0)
        yield from _fill(size)
        return 0
    return (yield from _lines(box.stdin))


def _fill(size: int) -> Steps:
    yield Wait(seconds=_FILL_SECONDS)
    yield Allocate(size=size)
    return 0


def _stress(box: Box, words: tuple[str, ...]) -> Steps:
    options = dict(pairwise(words[1:]))
    options |= dict(word.split("=", 1) for word in words if word.startswith("--") and "=" in word)
    size = parse_size(options.get("--vm-bytes", "256M")) or 0
    workers = int(options.get("--vm", options.get("-m", "0")) or 0)
    yield _say(f"stress: info: [1] dispatching hogs: 0 cpu, 0 io, {workers} vm, 0 hdd")
    if workers:
        yield from _fill(size * workers)
    timeout = options.get("--timeout", options.get("-t", ""))
    yield Wait(seconds=float(timeout.rstrip("s")) if timeout else FOREVER)
    return 0


def _dd(box: Box, words: tuple[str, ...]) -> Steps:
    options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    if (target := options.get("of", "/dev/null")) != "/dev/null":
        denial = box.write(target, "")
        if denial is not None:
            yield _say(f"dd: can't open '{target}': {denial.text}", error=True)
            return 1
    if options.get("if") == "/dev/zero":
        yield Allocate(size=parse_size(options.get("bs", "512")) or 0)
    return 0


def _touch(box: Box, words: tuple[str, ...]) -> Steps:
    for path in (word for word in words[1:] if not word.startswith("-")):
        denial = box.write(path, "", append=True)
        if denial is not None:
            yield _say(f"touch: cannot touch '{path}': {denial.text}", error=True)
            return 1
    return 0


def _mkdir(box: Box, words: tuple[str, ...]) -> Steps:
    for path in (word for word in words[1:] if not word.startswith("-")):
        if box.is_directory(path) and "-p" in words:
            continue
        denial = box.around.refuse_write(path)
        if denial is not None:
            quoted = f"can't create directory '{path}'" if box.around.image.shell == "ash" else ""
            yield _say(f"mkdir: {quoted or f'cannot create directory ‘{path}’'}: {denial.text}", error=True)
            return 1
        box.directories.add(path.rstrip("/"))
    return 0


def _rm(box: Box, words: tuple[str, ...]) -> Steps:
    for path in (word for word in words[1:] if not word.startswith("-")):
        box.created.pop(path, None)
        box.removed.add(path)
    yield from ()
    return 0


def _test(box: Box, words: tuple[str, ...]) -> Steps:
    closing = {"[": "]", "[[": "]]"}.get(words[0])
    arguments = words[1:-1] if closing and words[-1] == closing else words[1:]
    try:
        return int(not _holds(box, arguments))
    except ValueError as error:
        yield _say(f"{words[0]}: {error}", error=True)
        return 2


def _holds(box: Box, words: tuple[str, ...]) -> bool:
    """Raises ValueError for an expression that cannot be read."""
    for symbol, combine in (("-o", any), ("||", any), ("-a", all), ("&&", all)):
        if symbol in words:
            at = words.index(symbol)
            return combine((_holds(box, words[:at]), _holds(box, words[at + 1 :])))
    match words:
        case ():
            return False
        case ("!", *rest):
            return not _holds(box, tuple(rest))
        case (text,):
            return bool(text)
        case (flag, text):
            return _unary(box, flag, text)
        case (left, symbol, right):
            return _binary(left, symbol, right)
    raise ValueError("too many arguments")


def _unary(box: Box, flag: str, text: str) -> bool:
    match flag:
        case "-z" | "-n":
            return bool(text) == (flag == "-n")
        case "-f" | "-r" | "-s":
            return bool(box.read(text)) if flag == "-s" else box.read(text) is not None
        case "-d":
            return box.is_directory(text)
        case "-e" | "-x":
            return box.exists(text) or (flag == "-x" and command_exists(box.around.image, text))
        case "-w":
            return box.around.refuse_write(text) is None
    raise ValueError(f"{flag}: unary operator expected")


def _binary(left: str, symbol: str, right: str) -> bool:
    match symbol:
        case "=" | "==":
            return left == right
        case "!=":
            return left != right
    orders: dict[str, Callable[[int, int], bool]] = {
        "-eq": lambda a, b: a == b,
        "-ne": lambda a, b: a != b,
        "-lt": lambda a, b: a < b,
        "-le": lambda a, b: a <= b,
        "-gt": lambda a, b: a > b,
        "-ge": lambda a, b: a >= b,
    }
    if symbol not in orders:
        raise ValueError(f"{symbol}: unknown operand")
    if not re.fullmatch(r"-?[0-9]+", left) or not re.fullmatch(r"-?[0-9]+", right):
        raise ValueError(f"Illegal number: {left}")
    return orders[symbol](int(left), int(right))


def _grep(box: Box, words: tuple[str, ...]) -> Steps:
    plain = [word for word in words[1:] if not word.startswith("-")]
    options = "".join(word[1:] for word in words[1:] if word.startswith("-"))
    text = "".join(box.read(path) or "" for path in plain[1:]) if len(plain) > 1 else box.stdin
    pattern = plain[0] if plain else ""
    found = [line for line in text.splitlines() if (pattern in line) != ("v" in options)]
    if "q" not in options:
        yield from (_say(line) for line in found)
    return int(not found)


def _identity(box: Box, words: tuple[str, ...]) -> Steps:
    """Commands that print one fact about where they run."""
    uid = box.around.uid
    facts = {
        "id": str(uid) if "-u" in words else f"uid={uid} gid={0 if uid == 0 else uid}",
        "whoami": "root" if uid == 0 else str(uid),
        "hostname": box.around.hostname,
        "pwd": box.around.working_dir,
        "uname": "Linux",
        "nproc": "2",
    }
    yield _say(facts[words[0].rpartition("/")[2]])
    return 0


def _env(box: Box, words: tuple[str, ...]) -> Steps:
    if len(words) > 1 and words[0].endswith("printenv"):
        if words[1] not in box.env:
            return 1
        yield _say(box.env[words[1]])
        return 0
    for name, value in box.env.items():
        yield _say(f"{name}={value}")
    return 0


def _fetch(box: Box, words: tuple[str, ...]) -> Steps:
    """`wget` and `curl` reach only the container itself; nothing else answers in this world."""
    tool = words[0].rpartition("/")[2]
    address = next((word for word in words[1:] if "://" in word or ":" in word), "http://localhost/")
    parts = urlsplit(address if "://" in address else f"http://{address}")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    if host not in ("localhost", "127.0.0.1", box.env.get("POD_IP", "")):
        yield _say(_unresolved(tool, host), error=True)
        return 6 if tool == "curl" else 1
    listener = box.listening.get(port)
    if listener is None:
        yield _say(_refused(tool, host, port), error=True)
        return 7 if tool == "curl" else 1
    if answers(listener, parts.path or "/"):
        yield _say("ok")
        return 0
    failing = tool == "wget" or any(re.fullmatch(r"-[A-Za-z]*f[A-Za-z]*|--fail", word) for word in words)
    yield _say(
        f"{tool}: server returned error: HTTP/1.1 404 Not Found"
        if tool == "wget"
        else "curl: (22) The requested URL returned error: 404",
        error=True,
    )
    return (22 if tool == "curl" else 1) if failing else 0


def _unresolved(tool: str, host: str) -> str:
    return f"curl: (6) Could not resolve host: {host}" if tool == "curl" else f"wget: bad address '{host}'"


def _refused(tool: str, host: str, port: int) -> str:
    if tool == "curl":
        return f"curl: (7) Failed to connect to {host} port {port} after 0 ms: Couldn't connect to server"
    return f"wget: can't connect to remote host ({host}): Connection refused"


def answers(listener: Listen, path: str) -> bool:
    """Whether an HTTP GET of `path` gets 200 (else it is 404)."""
    return "*" in listener.paths or path.partition("?")[0] in listener.paths


def _service_probe(box: Box, words: tuple[str, ...]) -> Steps:
    """`redis-cli`, `pg_isready`: whether the service of this container listens."""
    up = box.around.image.port in box.listening
    tool = words[0].rpartition("/")[2]
    if tool == "pg_isready":
        yield _say("/var/run/postgresql:5432 - " + ("accepting connections" if up else "no response"))
        return 0 if up else 2
    yield _say("PONG" if up else "Could not connect to Redis at 127.0.0.1:6379: Connection refused", error=not up)
    return int(not up)


def _netcat(box: Box, words: tuple[str, ...]) -> Steps:
    numbers = [int(word) for word in words[1:] if word.isdecimal()]
    if any(word.startswith("-") and "l" in word for word in words[1:]) and numbers:
        yield Listen(port=numbers[-1])
        yield Wait(seconds=FOREVER)
        return 0
    return int(not numbers or numbers[-1] not in box.listening)


def _silent(box: Box, words: tuple[str, ...]) -> Steps:
    yield from ()
    return int(words[0].rpartition("/")[2] == "false")


COMMANDS: Final[dict[str, Command]] = {
    "echo": _echo,
    "printf": _printf,
    "sleep": _sleep,
    "cat": _cat,
    "tail": _tail,
    "head": _head,
    "stress": _stress,
    "dd": _dd,
    "touch": _touch,
    "mkdir": _mkdir,
    "rm": _rm,
    "test": _test,
    "[": _test,
    "[[": _test,
    "grep": _grep,
    "env": _env,
    "printenv": _env,
    "wget": _fetch,
    "curl": _fetch,
    "redis-cli": _service_probe,
    "pg_isready": _service_probe,
    "nc": _netcat,
    **dict.fromkeys(("id", "whoami", "hostname", "pwd", "uname", "nproc"), _identity),
    **dict.fromkeys(("true", "false"), _silent),
}
SHELL_BUILTINS: Final = frozenset({"echo", "printf", "test", "[", "[[", "pwd", "true", "false"})


def run_command(box: Box, words: tuple[str, ...]) -> Steps:
    """Runs a command that the image has."""
    name = words[0].rpartition("/")[2]
    try:
        return (yield from COMMANDS.get(name, _silent)(box, words))
    except ValueError:
        # Numbers and addresses in arguments are read with int(), float() and urlsplit().
        yield _say(f"{name}: invalid argument", error=True)
        return 1
