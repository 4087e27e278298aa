"""What a container's process says, where it listens and how it ends, given its surroundings."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.sandbox.catalogue import DEFAULT_CATALOGUE
from responder.sandbox.container import Mount, Surroundings
from responder.sandbox.images import ImageModel, KnownImage, parse_reference
from responder.sandbox.process import Ended, Process, StartFailure

MIB = 1 << 20


def model(image: str) -> ImageModel:
    known = DEFAULT_CATALOGUE.pull(parse_reference(image))
    assert isinstance(known, KnownImage)
    return known.model


def start(image: str, *argv: str, **changes: Any) -> Process:
    own = model(image)
    words = argv or (*own.entrypoint, *own.cmd)
    return Process(Surroundings(image=own, argv=words, **changes), started=0.0)


def lines(process: Process, until: float = 3600.0) -> list[str]:
    return [said.line.text for said in process.advance(until)]


def emptydirs(*paths: str) -> tuple[Mount, ...]:
    return tuple(Mount(path=path, writable=True) for path in paths)


def test_nginx_as_root_listens_on_port_80() -> None:
    process = start("nginx:1.27")
    lines(process)
    assert process.ended is None
    assert set(process.box.listening) == {80}


MKDIR = 'nginx: [emerg] mkdir() "/var/cache/nginx/client_temp" failed'
BIND = "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)"
PID = 'nginx: [emerg] open() "/var/run/nginx.pid" failed'


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({"uid": 101}, f"{MKDIR} (13: Permission denied)"),
        ({"uid": 101, "mounts": emptydirs("/var/cache/nginx")}, BIND),
        ({"uid": 101, "mounts": emptydirs("/var/cache/nginx", "/var/run")}, BIND),
        (
            {"uid": 101, "mounts": emptydirs("/var/cache/nginx"), "declared_ports": (8080,)},
            f"{PID} (13: Permission denied)",
        ),
        ({"read_only_root": True}, f"{MKDIR} (30: Read-only file system)"),
        (
            {"read_only_root": True, "mounts": emptydirs("/var/cache")},
            f"{PID} (30: Read-only file system)",
        ),
        (
            {"uid": 101, "mounts": (Mount(path="/var/cache/nginx", writable=False),)},
            f"{MKDIR} (30: Read-only file system)",
        ),
        (
            {"dropped_capabilities": frozenset({"ALL"})},
            'nginx: [emerg] chown("/var/cache/nginx/client_temp", 101) failed (1: Operation not permitted)',
        ),
    ],
)
def test_nginx_ends_at_the_first_thing_it_may_not_do(changes: Mapping[str, Any], last: str) -> None:
    process = start("nginx:1.27", **changes)
    assert lines(process)[-1] == last
    assert process.ended is not None
    assert process.ended.exit_code == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"mounts": emptydirs("/var/cache/nginx", "/run"), "declared_ports": (8080,)},
        {"mounts": emptydirs("/var"), "declared_ports": (8080,)},
        {"mounts": emptydirs("/var"), "added_capabilities": frozenset({"NET_BIND_SERVICE"})},
        {"mounts": emptydirs("/var"), "unprivileged_port_start": 0},
        {"mounts": emptydirs("/var"), "files": {"/etc/nginx/conf.d/default.conf": "server {\n listen 8080;\n}"}},
        {"mounts": emptydirs("/var"), "env": {"NGINX_PORT": "8080"}},
    ],
)
def test_rootless_nginx_runs_once_it_has_room_and_a_port(changes: Mapping[str, Any]) -> None:
    process = start("nginx:1.27", uid=101, **changes)
    lines(process)
    assert process.ended is None
    assert len(process.box.listening) == 1


def test_the_unprivileged_nginx_needs_nothing() -> None:
    process = start("nginxinc/nginx-unprivileged:1.27", uid=101)
    lines(process)
    assert set(process.box.listening) == {8080}


@pytest.mark.parametrize(
    ("image", "changes", "last", "code"),
    [
        ("registry.example/shop/api:1.0", {}, "KeyError: 'DATABASE_URL'", 1),
        ("registry.example/shop/api:1.0", {"env": {"DATABASE_URL": ""}}, "ValueError: DATABASE_URL is empty", 1),
        (
            "registry.example/shop/catalog:1.0",
            {"uid": 1000},
            "PermissionError: [Errno 13] Permission denied: '/app/cache'",
            1,
        ),
        (
            "registry.example/shop/catalog:1.0",
            {"read_only_root": True},
            "OSError: [Errno 30] Read-only file system: '/app/cache'",
            1,
        ),
        (
            "registry.example/shop/checkout:1.0",
            {},
            "FileNotFoundError: [Errno 2] No such file or directory: '/etc/shop/settings.yaml'",
            1,
        ),
        ("registry.example/shop/ledger:1.0", {}, "ZeroDivisionError: division by zero", 1),
        ("registry.example/shop/router:1.0", {}, "\t/src/cmd/router/main.go:31 +0x65", 2),
        (
            "postgres:16",
            {},
            "       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser.",
            1,
        ),
    ],
)
def test_a_program_that_cannot_run_says_why(image: str, changes: Mapping[str, Any], last: str, code: int) -> None:
    process = start(image, **changes)
    assert lines(process)[-1] == last
    assert process.ended is not None
    assert process.ended.exit_code == code


@pytest.mark.parametrize(
    ("image", "argv"),
    [
        ("registry.example/tools/memory-eater:1.0", ()),
        ("polinux/stress", ("stress", "--vm", "1", "--vm-bytes", "250M", "--vm-hang", "1")),
        ("python:3.12", ("python", "-c", "x = bytearray(250 * 1024 * 1024)")),
        ("busybox", ("sh", "-c", "head -c 250m /dev/zero | tail")),
        ("busybox", ("tail", "/dev/zero")),
    ],
)
def test_a_program_that_wants_more_than_its_limit_is_killed(image: str, argv: tuple[str, ...]) -> None:
    process = start(image, *argv, memory_limit=64 * MIB)
    lines(process)
    assert process.ended is not None
    assert (process.ended.exit_code, process.ended.out_of_memory) == (137, True)


def test_the_same_program_lives_under_a_larger_limit() -> None:
    process = start("registry.example/tools/memory-eater:1.0", memory_limit=300 * MIB)
    lines(process)
    assert process.ended is None


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("wge", "x"), 'exec: "wge": executable file not found in $PATH: unknown'),
        (("/app/nothing",), 'exec: "/app/nothing": stat /app/nothing: no such file or directory: unknown'),
        (("bash", "-c", "true"), 'exec: "bash": executable file not found in $PATH: unknown'),
    ],
)
def test_a_missing_executable_is_the_runtimes_failure(argv: tuple[str, ...], reason: str) -> None:
    with pytest.raises(StartFailure) as failed:
        start("busybox", *argv)
    assert str(failed.value) == (
        "failed to create containerd task: failed to create shim task: OCI runtime create failed: "
        f"runc create failed: unable to start container process: {reason}"
    )


SCRIPTS = [
    ("echo hello", ["hello"], 0),
    ("echo a; echo b && echo c", ["a", "b", "c"], 0),
    ("false || echo rescued", ["rescued"], 0),
    ("false && echo never; exit 7", [], 7),
    ("set -e; false; echo never", [], 1),
    ('set -u; echo "$DEPLOY_ENV"; echo never', ["sh: DEPLOY_ENV: parameter not set"], 2),
    ('set -u; echo "${DEPLOY_ENV:-none}"', ["none"], 0),
    ('set -eu; echo "${DEPLOY_ENV}"', ["sh: DEPLOY_ENV: parameter not set"], 2),
    ("wge http://x", ["sh: wge: not found"], 127),
    (": ${DATABASE_URL:?must be set}", ["sh: DATABASE_URL: must be set"], 2),
    ("echo ${NAME:-nobody} $HOME_TOWN", ["nobody Bonn"], 0),
    ("X=1; X=$((X + 2)); echo \"x is $X\" 'x is $X'", ["x is 3 x is $X"], 0),
    ('[ -z "$MISSING" ] && echo empty && exit 3', ["empty"], 3),
    ('if [ "$HOME_TOWN" = Bonn ]; then echo yes; else echo no; fi', ["yes"], 0),
    ("for i in 1 2 3; do echo $i; done", ["1", "2", "3"], 0),
    ("cat /etc/app/conf", ["colour=blue"], 0),
    ("cat /etc/app/none", ["cat: can't open '/etc/app/none': No such file or directory"], 1),
    ("echo x > /etc/app/new", ["sh: can't create /etc/app/new: Read-only file system"], 1),
    ("echo kept > /tmp/f; cat /tmp/f; echo lost > /dev/null", ["kept"], 0),
    ("test -f /etc/app/conf || exit 4; grep -q blue /etc/app/conf", [], 0),
    ("echo oops >&2; exit 1", ["oops"], 1),
    ("cat /etc/app/conf | grep -v colour || echo none", ["none"], 0),
    ("N=$(cat /etc/app/conf); echo got $N", ["got colour=blue"], 0),
    ("exec sh -c 'exit 9'; echo never", [], 9),
    ("i=0; while [ $i -lt 2 ]; do i=$((i+1)); echo $i; sleep 1; done", ["1", "2"], 0),
    ("case x in x) ;; esac", ['sh: syntax error: "case" is not simulated'], 2),
    ("if true; then echo x", ['sh: syntax error: end of file unexpected (expecting "fi")'], 2),
]


@pytest.mark.parametrize(("script", "expected", "code"), SCRIPTS)
def test_a_script_does_what_a_shell_would_do(script: str, expected: list[str], code: int) -> None:
    process = start(
        "busybox",
        "sh",
        "-c",
        script,
        env={"HOME_TOWN": "Bonn"},
        files={"/etc/app/conf": "colour=blue\n"},
        mounts=(Mount(path="/etc/app", writable=False),),
    )
    assert (lines(process), process.ended and process.ended.exit_code) == (expected, code)


FRAGMENTS = (
    *(
        "if",
        "then",
        "else",
        "fi",
        "while",
        "do",
        "done",
        "for",
        "in",
        "i",
        "break",
        "exit",
        "set",
        "-e",
        "eval",
        "exec",
    ),
    *(
        ";",
        "&&",
        "||",
        "|",
        "&",
        ">",
        "2>&1",
        "<",
        "(",
        ")",
        "{",
        "}",
        "!",
        "#",
        "$",
        "\\",
        "`",
        "'",
        '"',
        "\n",
        "[",
        "]",
    ),
    *("$X", "${X:-a}", "${X:?}", "$(echo a)", "$((1+1))", "$((1/0))", "$((", "${", "X=1", "abc", "1", "-z", "-eq"),
    *("echo", "cat", "/etc/x", "sleep", "0.1", "head", "-c", "10m", "/dev/zero", "tail", "-f", "dd", "bs=q", "printf"),
    *("touch", "/tmp/a", "grep", "env", "nc", "-l", "99", "wget", "http://localhost:[/", "sh", "%s", "test", "true"),
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(" ".join))
def test_no_script_brings_the_simulation_down(script: str) -> None:
    process = start("busybox", "sh", "-c", script, memory_limit=256 * MIB)
    for now in range(3):
        process.advance(float(now))


def test_an_endless_loop_speaks_at_its_pace() -> None:
    process = start("busybox", "sh", "-c", "while true; do echo tick; sleep 5; done")
    assert [said.at for said in process.advance(11.0)] == [0.0, 5.0, 10.0]
    assert process.ended is None


def test_a_busy_loop_does_not_hang_the_simulation() -> None:
    process = start("busybox", "sh", "-c", "while :; do :; done")
    process.advance(5.0)
    assert process.ended is None


def test_a_shell_without_a_script_ends_at_once() -> None:
    process = start("alpine")
    process.advance(0.0)
    assert process.ended == Ended(exit_code=0, at=0.0)


def test_a_stopped_nginx_ends_well_and_a_stopped_sleep_is_killed() -> None:
    server, sleeper = start("nginx:1.27"), start("busybox", "sleep", "3600")
    server.advance(5.0)
    assert (server.stop(5.0).exit_code, sleeper.stop(5.0).exit_code) == (0, 137)
