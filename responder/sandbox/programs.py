"""What the main programs of the known images do, in the order in which the real ones do it.

Decides: the first thing that stops a program (missing setting, directory it may not write to, port it may not bind,
pid file), what it prints then, and where it listens when nothing stops it. A program ends at its first problem, so
that problems stack: the second shows only when the first is repaired.
Leaves when and how often it is started to `podmachine`.

nginx opens things in the order of `ngx_init_cycle`: configuration, temporary directories, sockets; then the pid file
(https://github.com/nginx/nginx/blob/master/src/core/ngx_cycle.c).
"""

from __future__ import annotations

import re
from typing import Final

from responder.sandbox.container import FOREVER, Allocate, Box, Denial, Line, Listen, Steps, Stream, Wait
from responder.sandbox.images import Program

_MIB: Final = 1 << 20
_NGINX_TEMPORARY: Final = ("client_temp", "proxy_temp", "fastcgi_temp", "uwsgi_temp", "scgi_temp")
_NGINX_LISTEN: Final = re.compile(r"^\s*listen\s+(?:[0-9.*]+:|\[[^\]]*\]:)?([0-9]+)\b[^;]*;", re.MULTILINE)
_NGINX_LOCATION: Final = re.compile(r"^\s*location\s+(?:=\s+|\^~\s+)?(/\S*)\s*\{", re.MULTILINE)
_NGINX_PID: Final = re.compile(r"^\s*pid\s+(\S+);", re.MULTILINE)
_STEP_SECONDS: Final = 0.1


def listening_port(box: Box) -> int:
    """The port a server chooses: its own setting, else the first declared containerPort, else the image's default."""
    image = box.around.image
    configured = box.env.get(image.port_env, "") if image.port_env else ""
    if configured.isdecimal():
        return int(configured)
    if image.port and image.port_follows_declaration and box.around.declared_ports:
        return box.around.declared_ports[0]
    return image.port


def run_program(box: Box, words: tuple[str, ...]) -> Steps:
    """Runs the image's own program."""
    match box.around.image.program:
        case Program.NGINX:
            return nginx(box, words)
        case Program.HTTPD:
            return httpd(box)
        case Program.SERVICE:
            return _service(box)
        case Program.CRASH:
            return _crash(box)
        case Program.MEMORY | Program.PYTHON_WEB:
            return _web(box)
        case Program.SHELL:
            return _finished()


def _finished() -> Steps:
    yield from ()
    return 0


def _hold(box: Box) -> Steps:
    yield Allocate(size=box.around.image.memory_mib * _MIB)
    return 0


def _error(text: str) -> Line:
    return Line(text=text, stream=Stream.ERR)


def _entrypoint_lines(box: Box) -> tuple[str, ...]:
    prefix = "/docker-entrypoint.sh"
    ipv6 = "10-listen-on-ipv6-by-default.sh: info:"
    writable = box.around.refuse_write("/etc/nginx/conf.d/default.conf") is None
    return (
        f"{prefix}: /docker-entrypoint.d/ is not empty, will attempt to perform configuration",
        f"{prefix}: Looking for shell scripts in /docker-entrypoint.d/",
        f"{prefix}: Launching /docker-entrypoint.d/10-listen-on-ipv6-by-default.sh",
        f"{ipv6} Enabled listen on IPv6 in /etc/nginx/conf.d/default.conf"
        if writable
        else f"{ipv6} can not modify /etc/nginx/conf.d/default.conf (read-only file system?)",
        f"{prefix}: Launching /docker-entrypoint.d/20-envsubst-on-templates.sh",
        f"{prefix}: Launching /docker-entrypoint.d/30-tune-worker-processes.sh",
        f"{prefix}: Configuration complete; ready for start up",
    )


def nginx_entrypoint(box: Box, words: tuple[str, ...]) -> Steps:
    """The image's entry script: announces itself before nginx, is silent before any other command."""
    if words[1:2] == ("nginx",):
        for line in _entrypoint_lines(box):
            yield Line(text=line)
    return (yield from box.execute(box, words[1:]))


def _nginx_configuration(box: Box) -> str:
    names = sorted(name for name in box.around.files if name.startswith("/etc/nginx/"))
    return "\n".join(box.around.files[name] for name in names if name.endswith(".conf"))


def _nginx_emergency(text: str) -> Steps:
    """nginx writes an emergency to its error log, which images link to standard error, and to standard error."""
    yield _nginx_logged(f"[emerg] 1#1: {text}")
    yield _error(f"nginx: [emerg] {text}")
    return 1


def _nginx_logged(text: str) -> Line:
    return Line(text=text, stream=Stream.ERR, dated="%Y/%m/%d %H:%M:%S ")


def nginx(box: Box, words: tuple[str, ...]) -> Steps:
    if "-t" in words:
        yield _error("nginx: the configuration file /etc/nginx/nginx.conf syntax is ok")
        return 0
    image, around = box.around.image, box.around
    configuration = _nginx_configuration(box)
    if configuration.count("{") != configuration.count("}"):
        return (yield from _nginx_emergency('unexpected end of file, expecting "}" in /etc/nginx/nginx.conf'))
    if around.uid and not image.user:
        warning = (
            'the "user" directive makes sense only if the master process runs with super-user privileges, '
            "ignored in /etc/nginx/nginx.conf:2"
        )
        yield _nginx_logged(f"[warn] 1#1: {warning}")
        yield _error(f"nginx: [warn] {warning}")
    yield Wait(seconds=_STEP_SECONDS)
    for problem in _nginx_problems(box, configuration):
        return (yield from _nginx_emergency(problem))
    yield from _hold(box)
    locations = tuple(_NGINX_LOCATION.findall(configuration))
    served = tuple(
        name.removeprefix("/usr/share/nginx/html") for name in around.files if name.startswith("/usr/share/nginx/html/")
    )
    for port in _nginx_ports(box, configuration):
        yield Listen(port=port, paths=(*image.paths, *locations, *served), answer_seconds=image.answer_seconds)
    yield _nginx_logged("[notice] 1#1: start worker processes")
    yield Wait(seconds=FOREVER)
    return 0


def _nginx_ports(box: Box, configuration: str) -> tuple[int, ...]:
    """A listen line decides; then NGINX_PORT; then what every server goes by."""
    written = tuple(dict.fromkeys(int(port) for port in _NGINX_LISTEN.findall(configuration)))
    chosen = box.env.get("NGINX_PORT", "")
    return written or ((int(chosen),) if chosen.isdecimal() else (listening_port(box),))


def _nginx_problems(box: Box, configuration: str) -> tuple[str, ...]:
    problems: list[str] = []
    for parent in box.around.image.writes:
        first = f"{parent}/{_NGINX_TEMPORARY[0]}"
        denial = box.around.refuse_write(first)
        if denial is not None:
            problems.append(f'mkdir() "{first}" failed ({denial})')
        elif box.around.uid == 0 and not box.around.capable("CHOWN"):
            problems.append(f'chown("{first}", 101) failed ({Denial.NOT_PERMITTED})')
    for port in _nginx_ports(box, configuration):
        denial = box.around.refuse_bind(port)
        if denial is not None:
            problems.append(f"bind() to 0.0.0.0:{port} failed ({denial})")
    named = _NGINX_PID.search(configuration)
    pid_file = named[1] if named else box.around.image.pid_file
    denial = box.around.refuse_write(pid_file)
    if denial is not None:
        problems.append(f'open() "{pid_file}" failed ({denial})')
    return tuple(problems)


def httpd(box: Box) -> Steps:
    """Apache binds first and writes its pid file afterwards."""
    image, around = box.around.image, box.around
    port = listening_port(box)
    yield Wait(seconds=_STEP_SECONDS)
    if (denial := around.refuse_bind(port)) is not None:
        yield _error(f"({denial.number}){denial.text}: AH00072: make_sock: could not bind to address [::]:{port}")
        yield _error(f"({denial.number}){denial.text}: AH00072: make_sock: could not bind to address 0.0.0.0:{port}")
        yield _error("no listening sockets available, shutting down")
        yield _error("AH00015: Unable to open logs")
        return 1
    if (denial := around.refuse_write(image.pid_file)) is not None:
        yield _error(
            f"[core:error] [pid 1:tid 1] ({denial.number}){denial.text}: AH00099: could not create {image.pid_file}"
        )
        yield _error("[core:error] [pid 1:tid 1] AH00100: httpd: could not log pid to file " + image.pid_file)
        return 1
    yield from _hold(box)
    yield Listen(port=port, paths=image.paths, answer_seconds=image.answer_seconds)
    yield _error("AH00094: Command line: 'httpd -D FOREGROUND'")
    yield Wait(seconds=FOREVER)
    return 0


def _service(box: Box) -> Steps:
    image = box.around.image
    for name in image.required_env:
        if not box.env.get(name) and box.env.get("POSTGRES_HOST_AUTH_METHOD") != "trust":
            yield _error("Error: Database is uninitialized and superuser password is not specified.")
            yield _error(f"       You must specify {name} to a non-empty value for the superuser.")
            return 1
    yield Wait(seconds=_STEP_SECONDS)
    for directory in image.writes:
        if (denial := box.around.refuse_write(directory)) is not None:
            yield _error(f"mkdir: cannot create directory ‘{directory}’: {denial.text}")
            return 1
    yield from _hold(box)
    yield Wait(seconds=image.start_seconds)
    if image.port:
        yield Listen(port=listening_port(box), paths=image.paths, answer_seconds=image.answer_seconds)
    for line in image.banner:
        yield Line(text=line)
    yield Wait(seconds=FOREVER)
    return 0


def _traceback(location: str, error: str) -> Steps:
    yield _error("Traceback (most recent call last):")
    yield _error(f'  File "/app/server", line {location}, in <module>')
    yield _error(error)
    return 1


def _python_problem(box: Box) -> tuple[str, str] | None:
    """Line number and last line of the traceback that ends the start of a Python application."""
    image = box.around.image
    for name in image.required_env:
        if name not in box.env:
            return "12", f"KeyError: '{name}'"
        if not box.env[name]:
            return "14", f"ValueError: {name} is empty"
    for path in image.required_files:
        if box.read(path) is None:
            return "21", f"FileNotFoundError: [Errno 2] No such file or directory: '{path}'"
    for directory in image.writes:
        if (denial := box.around.refuse_write(f"{directory}/x")) is not None:
            return "27", f"{_python_error(denial)}: [Errno {denial.number}] {denial.text}: '{directory}'"
    port = listening_port(box)
    if port and (denial := box.around.refuse_bind(port)) is not None:
        return "33", f"PermissionError: [Errno {denial.number}] {denial.text}"
    return None


def _python_error(denial: Denial) -> str:
    return "OSError" if denial is Denial.READ_ONLY else "PermissionError"


def _web(box: Box) -> Steps:
    image = box.around.image
    for line in image.banner:
        yield Line(text=line)
    yield Wait(seconds=_STEP_SECONDS)
    problem = _python_problem(box)
    if problem is not None:
        return (yield from _traceback(*problem))
    yield from _hold_wanted(box)
    yield Wait(seconds=image.start_seconds)
    if port := listening_port(box):
        yield Listen(port=port, paths=image.paths, answer_seconds=image.answer_seconds)
        yield Line(text=f"INFO listening on 0.0.0.0:{port}")
    yield Wait(seconds=FOREVER)
    return 0


def _hold_wanted(box: Box) -> Steps:
    """Memory grows in steps, so that the log shows how far it came before the limit."""
    image = box.around.image
    wanted = box.env.get(image.memory_env, "") if image.memory_env else ""
    need = int(wanted) if wanted.isdecimal() else image.memory_mib
    if image.program is not Program.MEMORY:
        yield Allocate(size=need * _MIB)
        return 0
    for quarter in range(1, 5):
        yield Allocate(size=need * _MIB * quarter // 4)
        yield Line(text=f"INFO cache filled to {need * quarter // 4} MiB of {need} MiB")
        yield Wait(seconds=0.5)
    return 0


def _crash(box: Box) -> Steps:
    image = box.around.image
    for line in image.banner:
        yield Line(text=line)
    yield from _hold(box)
    yield Wait(seconds=image.exit_after)
    for line in image.failure:
        yield _error(line)
    return image.exit_code
