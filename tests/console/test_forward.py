"""`kubectl port-forward`, kept up: by itself, under the console, and from the command line."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from console.remote.client import ApiError, Client
from console.remote.connection import Connection
from console.remote.forward import Forward, Pauses, Phase, Target
from responder.domain.views import Status

QUICK = Pauses(first=0.05, longest=0.2, grace=0.5)
DEADLINE = 30.0


class Watched:
    """Where a forward has stood, in order."""

    def __init__(self):
        self.stands = []
        self._moved = threading.Condition()

    def __call__(self, stand):
        with self._moved:
            self.stands.append(stand)
            self._moved.notify_all()

    def wait(self, holds):
        with self._moved:
            assert self._moved.wait_for(lambda: any(map(holds, self.stands)), DEADLINE), self.stands
            return next(stand for stand in self.stands if holds(stand))


@contextmanager
def started(kubectl, target=None):
    forward, watched = Forward((target or Target()).command(str(kubectl.path)), pauses=QUICK), Watched()
    forward.start(watched)
    try:
        yield forward, watched
    finally:
        forward.stop()


def up(attempt=1):
    return lambda stand: stand.phase is Phase.UP and stand.attempt >= attempt


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("svc/clopus", {}, ["port-forward", "--address=127.0.0.1", "svc/clopus", ":8080"]),
        (
            "deploy/it:9000",
            {"context": "prod", "namespace": "clopus"},
            ["--context=prod", "--namespace=clopus", "port-forward", "--address=127.0.0.1", "deploy/it", ":9000"],
        ),
        ("pod/a", {"context": "--help"}, ["--context=--help", "port-forward", "--address=127.0.0.1", "pod/a", ":8080"]),
    ],
)
def test_the_command_is_a_list_of_words_and_leaves_the_port_to_kubectl(text, options, words):
    assert Target.parsed(text, **options).command("kubectl") == ("kubectl", *words)


@pytest.mark.parametrize("text", ["clopus", "--help", "svc/", "svc/a b", "svc/a:", "svc/a:0", "svc/a:x", "svc/a:99999"])
def test_what_is_nothing_to_forward_to_is_refused(text):
    with pytest.raises(ValueError, match=r"nothing to forward to|no port"):
        Target.parsed(text)


def test_it_tells_the_port_that_kubectl_took_and_begins_anew_after_a_drop(kubectl):
    with started(kubectl) as (_, watched):
        watched.wait(up())
        kubectl.drop()
        down = watched.wait(lambda stand: stand.phase is Phase.DOWN)
        assert down.told == "kubectl port-forward ended: error: lost connection to pod \\x1b[31m"
        assert down.port == 0
        watched.wait(up(attempt=2))
    assert not kubectl.is_running


def test_what_kubectl_complains_about_is_told_until_it_is_up(kubectl):
    kubectl.refuses("services is forbidden")
    with started(kubectl) as (_, watched):
        watched.wait(lambda stand: stand.phase is Phase.STARTING and "services is forbidden" in stand.told)
        kubectl.accepts()
        watched.wait(up(attempt=2))


def test_one_that_does_not_listen_to_sigterm_is_ended_all_the_same(kubectl):
    kubectl.ignores_sigterm()
    with started(kubectl) as (forward, watched):
        watched.wait(up())
        forward.stop()
        assert not kubectl.is_running
        assert forward.stand.phase is Phase.ENDED


def test_calls_without_an_answer_begin_it_anew(kubectl):
    with started(kubectl) as (forward, watched):
        watched.wait(up())
        for _ in range(2):
            forward.doubt()
        forward.trust()
        forward.doubt()
        assert forward.stand.phase is Phase.UP
        for _ in range(2):
            forward.doubt()
        watched.wait(up(attempt=2))


@contextmanager
def answering(*, answers):
    """A port at which every call is answered so, or hung up on."""

    def serve():
        with suppress(OSError):  # of `accept`, once nobody listens any more
            while True:
                near, _ = listener.accept()
                near.settimeout(DEADLINE)
                with near, near.makefile("rb") as request, suppress(OSError):  # a caller that hung up hears nothing
                    while request.readline() not in (b"\r\n", b""):
                        pass
                    near.sendall(answers)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(DEADLINE)


@pytest.mark.parametrize(
    ("answers", "attempts"),
    [(b"HTTP/1.0 200 OK\r\n\r\n[]", 1), (b"HTTP/1.0 503 Unwell\r\n\r\n", 1), (b"", 2)],
    ids=["something else", "a problem", "nothing"],
)
async def test_only_calls_that_nobody_answers_put_the_forward_in_doubt(kubectl, answers, attempts):
    moved, loop = asyncio.Event(), asyncio.get_running_loop()

    async def stands(where):
        while not where():
            moved.clear()
            await asyncio.wait_for(moved.wait(), DEADLINE)

    forward = Forward(Target().command(str(kubectl.path)), pauses=QUICK)
    client = Client("http://127.0.0.1:0", timeout_seconds=5.0)
    connection = Connection(
        client,
        stream_moved=lambda: None,
        forward_moved=lambda _: loop.call_soon_threadsafe(moved.set),
        forward=forward,
    )
    with answering(answers=answers) as port:
        kubectl.leads_to(port)
        connection.start()
        try:
            await stands(lambda: forward.stand.phase is Phase.UP)
            for _ in range(6):
                with pytest.raises(ApiError):
                    await connection.ask(lambda client: client.get(Status, "/status"))
            await stands(lambda: forward.stand.phase is Phase.UP and forward.stand.attempt == attempts)
        finally:
            await asyncio.to_thread(connection.stop)


def test_a_kubectl_that_is_gone_is_told(tmp_path):
    forward, watched = Forward(Target().command(str(tmp_path / "kubectl")), pauses=QUICK), Watched()
    forward.start(watched)
    watched.wait(lambda stand: "No such file" in stand.told)
    forward.stop()


async def test_the_console_reads_through_it_tells_a_drop_and_is_live_again(stage, kubectl):
    await stage.post({"alertname": "Strange"})
    kubectl.leads_to(stage.port)
    forward = Forward(Target().command(str(kubectl.path)), pauses=QUICK)
    async with stage.console(forward=forward) as console:
        await console.sees("Strange")
        await console.until(lambda: "live" in console.bar, "live")
        kubectl.refuses("no pod")
        kubectl.drop()
        await console.sees("kubectl port-forward ended: error: no pod")
        await console.until(lambda: "reconnecting" in console.bar, "reconnecting")
        assert console.app.connection.client.url == "http://127.0.0.1:0"
        kubectl.accepts()
        await console.until(lambda: "live" in console.bar, "live again")
        await console.sees("kubectl port-forward on 127.0.0.1:")
    assert not kubectl.is_running


async def test_no_credential_is_handed_to_kubectl(stage, kubectl):
    kubectl.leads_to(stage.port)
    forward = Forward(Target(context="prod").command(str(kubectl.path)), pauses=QUICK)
    async with stage.console(forward=forward) as console:
        await console.until(lambda: "live" in console.bar, "live")
    for words, names in kubectl.calls:
        assert words == ["--context=prod", "port-forward", "--address=127.0.0.1", "svc/clopus", ":8080"]
        assert not [name for name in names if "TOKEN" in name]


class Terminal:
    """`clopus console` in a pseudo-terminal; all that it writes is read meanwhile."""

    def __init__(self, *arguments, **environment):
        self._near, far = pty.openpty()
        os.set_inheritable(far, True)
        env = {"TERM": "xterm-256color", "HOME": "/nonexistent", "COLUMNS": "80", "LINES": "24", **environment}
        program = "from responder.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "console", *arguments], stdin=far, stdout=far, stderr=far, env=env
        )
        os.close(far)
        self.drawn = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            while data := os.read(self._near, 65536):
                self.drawn += data
        except OSError:
            return

    def press(self, keys):
        os.write(self._near, keys)

    def until(self, holds):
        deadline = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < deadline, self.drawn[-3000:]
            assert self.process.poll() is None, self.drawn[-3000:]
            time.sleep(0.05)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        os.close(self._near)


@pytest.fixture
def terminal():
    opened = []

    def begin(*arguments, **environment):
        opened.append(Terminal(*arguments, **environment))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()


@pytest.mark.parametrize("how", ["q", "SIGTERM", "SIGHUP"])
async def test_the_command_forwards_and_leaves_no_kubectl_behind(stage, kubectl, terminal, tmp_path, how):
    await stage.post({"alertname": "Strange"})
    kubectl.leads_to(stage.port)
    path = f"{kubectl.path.parent}:{os.environ['PATH']}"
    console = terminal(
        "--namespace", "clopus", "--token-file", str(write_token(tmp_path)),
        PATH=path, XDG_STATE_HOME=str(tmp_path), XDG_CONFIG_HOME=str(tmp_path),
    )  # fmt: skip
    await asyncio.to_thread(console.until, lambda: b"Strange" in console.drawn)
    assert kubectl.is_running
    if how == "q":
        console.press(b"q")
    else:
        console.process.send_signal(getattr(signal, how))
    await asyncio.to_thread(console.process.wait, DEADLINE)
    assert not kubectl.is_running
    assert console.process.returncode == 0


def write_token(folder):
    path = folder / "token"
    path.write_text("operator-token-of-the-tests\n")
    return path


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--forward"], {"PATH": "/nonexistent"}, b"there is none on the PATH"),
        (["--forward", "clopus"], {}, b"is nothing to forward to"),
        (["--forward", "--url", "http://127.0.0.1:1"], {}, b"give one of them"),
        ([], {"TERM": "dumb"}, b"TERM=dumb says that this terminal cannot move its cursor"),
        (["--config", "/nonexistent/console.toml"], {}, b"there is no such file"),
    ],
)
def test_what_cannot_work_is_a_sentence_and_exit_code_2(kubectl, terminal, arguments, environment, sentence):
    console = terminal(*arguments, **{"PATH": f"{kubectl.path.parent}:{os.environ['PATH']}", **environment})
    assert console.process.wait(DEADLINE) == 2
    console._reader.join(5)
    assert sentence in console.drawn.replace(b"\r\n", b" ")


def test_without_a_terminal_the_text_commands_are_named():
    done = subprocess.run(
        [sys.executable, "-c", "from responder.cli import main; main()", "console"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        env={"HOME": "/nonexistent", "TERM": "xterm"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert "clopus incidents" in done.stderr
