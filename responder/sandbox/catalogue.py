"""The images that exist in every simulated cluster. Tests and demos add their own with `Catalogue.with_image`.

Decides only data: which tags there are and how each image behaves. `registry.example` is a made-up private registry
with a small shop: healthy versions, one that insists on settings, one that breaks by its own defect.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from responder.sandbox.images import Catalogue, ImageModel, Program

_COREUTILS: Final = frozenset(
    {
        *("cat", "chmod", "chown", "cp", "cut", "date", "dd", "df", "dirname", "basename", "echo", "env", "expr"),
        *("false", "grep", "head", "hostname", "id", "kill", "ls", "mkdir", "mktemp", "mv", "nproc", "printenv"),
        *("printf", "ps", "pwd", "rm", "rmdir", "sed", "seq", "sh", "sleep", "sort", "stat", "tail", "tee", "test"),
        *("touch", "tr", "true", "uname", "uniq", "wc", "which", "whoami", "yes"),
    }
)
_BUSYBOX: Final = _COREUTILS | frozenset({"ash", "busybox", "httpd", "nc", "nslookup", "ping", "top", "wget"})
_DEBIAN: Final = _COREUTILS | frozenset({"bash", "dash"})

_NGINX: Final = ImageModel(
    program=Program.NGINX,
    entrypoint=("/docker-entrypoint.sh",),
    cmd=("nginx", "-g", "daemon off;"),
    port=80,
    writes=("/var/cache/nginx",),
    pid_file="/var/run/nginx.pid",
    paths=("/", "/index.html", "/50x.html"),
    memory_mib=8,
    stop_exit_code=0,
    executables=_DEBIAN | {"nginx", "curl", "docker-entrypoint.sh"},
    shell="dash",
    size=72_950_530,
)
_NGINX_ALPINE: Final = replace(
    _NGINX, executables=_BUSYBOX | {"nginx", "curl", "docker-entrypoint.sh"}, shell="ash", size=20_454_112
)
_NGINX_UNPRIVILEGED: Final = replace(
    _NGINX,
    user="101",
    port=8080,
    writes=("/tmp",),
    pid_file="/tmp/nginx.pid",
)
_HTTPD: Final = ImageModel(
    program=Program.HTTPD,
    cmd=("httpd-foreground",),
    port=80,
    writes=("/usr/local/apache2/logs",),
    pid_file="/usr/local/apache2/logs/httpd.pid",
    paths=("/", "/index.html"),
    memory_mib=16,
    stop_exit_code=0,
    executables=_DEBIAN | {"httpd", "httpd-foreground"},
    shell="dash",
)
_REDIS: Final = ImageModel(
    program=Program.SERVICE,
    entrypoint=("docker-entrypoint.sh",),
    cmd=("redis-server",),
    port=6379,
    port_follows_declaration=False,
    writable=("/data",),
    paths=(),
    memory_mib=12,
    banner=("1:M * Server initialized", "1:M * Ready to accept connections tcp"),
    stop_exit_code=0,
    executables=_DEBIAN | {"redis-server", "redis-cli", "docker-entrypoint.sh"},
    shell="dash",
)
_POSTGRES: Final = ImageModel(
    program=Program.SERVICE,
    entrypoint=("docker-entrypoint.sh",),
    cmd=("postgres",),
    port=5432,
    port_follows_declaration=False,
    writes=("/var/lib/postgresql/data",),
    writable=("/var/lib/postgresql", "/var/run/postgresql"),
    paths=(),
    required_env=("POSTGRES_PASSWORD",),
    memory_mib=96,
    start_seconds=1.0,
    banner=("LOG:  database system is ready to accept connections",),
    stop_exit_code=0,
    executables=_DEBIAN | {"postgres", "psql", "pg_isready", "docker-entrypoint.sh"},
)
_BUSYBOX_IMAGE: Final = ImageModel(
    program=Program.SHELL, cmd=("sh",), memory_mib=1, executables=_BUSYBOX, shell="ash", size=2_166_802
)
_DEBIAN_IMAGE: Final = replace(_BUSYBOX_IMAGE, cmd=("bash",), executables=_DEBIAN, shell="bash", size=48_480_000)
_PYTHON: Final = replace(
    _DEBIAN_IMAGE, cmd=("python3",), executables=_DEBIAN | {"python", "python3", "pip", "curl"}, memory_mib=12
)
_PAUSE: Final = ImageModel(
    program=Program.SERVICE, entrypoint=("/pause",), user="65535", memory_mib=1, paths=(), stop_exit_code=0, shell=""
)
_AGNHOST: Final = replace(
    _BUSYBOX_IMAGE,
    program=Program.PYTHON_WEB,
    entrypoint=("/agnhost",),
    cmd=("pause",),
    port=8080,
    paths=("/", "/healthz", "/hostname"),
)

_WEB: Final = ImageModel(
    program=Program.PYTHON_WEB,
    entrypoint=("/app/server",),
    port=8080,
    port_env="PORT",
    paths=("/", "/healthz", "/readyz", "/metrics"),
    memory_mib=48,
    banner=("INFO server starting",),
    executables=_DEBIAN | {"python3", "curl", "/app/server"},
)
_API: Final = replace(_WEB, required_env=("DATABASE_URL",), memory_mib=96, start_seconds=1.0)
_CACHING: Final = replace(_WEB, writes=("/app/cache",))
_CONFIGURED: Final = replace(_WEB, required_files=("/etc/shop/settings.yaml",))
_SLOW: Final = replace(_WEB, start_seconds=45.0)
_REPORTS: Final = replace(_WEB, program=Program.MEMORY, memory_mib=220, memory_env="CACHE_MB")
_CRASHING: Final = replace(
    _WEB,
    program=Program.CRASH,
    exit_code=1,
    failure=(
        "Traceback (most recent call last):",
        '  File "/app/server", line 41, in <module>',
        "    main()",
        '  File "/app/shop/ledger.py", line 118, in close_day',
        "    rate = total / orders",
        "ZeroDivisionError: division by zero",
    ),
)
_PANICKING: Final = replace(
    _WEB,
    program=Program.CRASH,
    exit_code=2,
    failure=(
        "panic: runtime error: index out of range [3] with length 3",
        "",
        "goroutine 1 [running]:",
        "main.route(0xc0000b4000)",
        "\t/src/cmd/router/main.go:87 +0x1d4",
        "main.main()",
        "\t/src/cmd/router/main.go:31 +0x65",
    ),
)
_MEMORY_EATER: Final = replace(_REPORTS, port=0, memory_mib=256)

_NGINX_TAGS: Final = (
    *("latest", "stable", "mainline"),
    *("1.24", "1.25", "1.25.5", "1.26", "1.26.2", "1.27", "1.27.3", "1.28", "1.29"),
)
_SHELF: Final[tuple[tuple[str, ImageModel, tuple[str, ...]], ...]] = (
    ("nginx", _NGINX, _NGINX_TAGS),
    ("nginx", _NGINX_ALPINE, ("alpine", *(f"{tag}-alpine" for tag in _NGINX_TAGS))),
    ("nginxinc/nginx-unprivileged", _NGINX_UNPRIVILEGED, ("latest", "stable", "1.25", "1.26", "1.27", "1.28")),
    ("nginx/nginx", _NGINX_UNPRIVILEGED, ("latest", "1.27", "1.27-unprivileged")),
    ("httpd", _HTTPD, ("latest", "2.4")),
    ("redis", _REDIS, ("latest", "6", "7", "7.2", "7.4", "8", "7-alpine")),
    ("postgres", _POSTGRES, ("latest", "14", "15", "16", "17")),
    ("busybox", _BUSYBOX_IMAGE, ("latest", "1.35", "1.36", "1.36.1", "1.37", "stable")),
    ("alpine", _BUSYBOX_IMAGE, ("latest", "3.18", "3.19", "3.20", "3.21", "3.22")),
    ("debian", _DEBIAN_IMAGE, ("latest", "12", "bookworm", "bookworm-slim")),
    ("ubuntu", _DEBIAN_IMAGE, ("latest", "22.04", "24.04")),
    ("python", _PYTHON, ("latest", "3.11", "3.12", "3.13", "3.12-slim", "3.13-slim")),
    ("polinux/stress", replace(_BUSYBOX_IMAGE, executables=_BUSYBOX | {"stress"}), ("latest",)),
    ("registry.k8s.io/pause", _PAUSE, ("3.9", "3.10")),
    ("registry.k8s.io/e2e-test-images/agnhost", _AGNHOST, ("2.45", "2.53")),
    ("registry.example/shop/web", _WEB, ("latest", "1.0", "1.1", "1.2", "1.4")),
    ("registry.example/shop/web", _CRASHING, ("1.3",)),
    ("registry.example/shop/api", _API, ("latest", "1.0", "1.1", "2.0")),
    ("registry.example/shop/catalog", _CACHING, ("1.0", "1.1")),
    ("registry.example/shop/checkout", _CONFIGURED, ("1.0", "1.1")),
    ("registry.example/shop/search", _SLOW, ("1.0",)),
    ("registry.example/shop/reports", _REPORTS, ("1.0",)),
    ("registry.example/shop/ledger", _CRASHING, ("1.0",)),
    ("registry.example/shop/router", _PANICKING, ("1.0",)),
    ("registry.example/shop/vault", replace(_WEB, private=True), ("1.0",)),
    ("registry.example/tools/memory-eater", _MEMORY_EATER, ("latest", "1.0")),
    ("registry.example/tools/crash", _CRASHING, ("latest", "1.0")),
)


def _stocked() -> Catalogue:
    catalogue = Catalogue()
    for repository, model, tags in _SHELF:
        for tag in tags:
            catalogue = catalogue.with_image(f"{repository}:{tag}", model)
    return catalogue


DEFAULT_CATALOGUE: Final = _stocked()
