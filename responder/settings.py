"""Settings: one YAML file, and every key also as `CLOPUS_SECTION__KEY` in the environment, which wins.

It decides names, units, bounds and defaults. Secrets are never settings: a key that ends in `_file` names the file that
holds one, and who uses it reads that file again when it changes. What the rules may do is not here but in rule files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from responder.document import Items, Node, Problems, Scalar, Table, parse, read, unknown
from responder.domain.errors import ConfigError, ConfigErrors
from responder.domain.rule import Mode

ENV_PREFIX = "CLOPUS_"
ENVIRONMENT = "environment"
"""Stands for the file name in errors about environment variables."""
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | None"
Place: TypeAlias = tuple[str, int, int]
"""File, line, column."""
_NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_NAME_OR_GLOB = r"^([-a-z0-9.*?]|\[!?[-a-z0-9.]+\]){1,253}$"
_SIZE = r"^[1-9][0-9]*(KB|MB|GB|KiB|MiB|GiB)$"
_URL = r"^(https?://.+)?$"
_WANTED = {
    _NAMESPACE: "is no namespace's name: write small letters, digits and dashes",
    _NAME_OR_GLOB: "is neither a name nor a glob: write small letters, digits, dashes, dots, and `*`, `?`, `[a-z]`",
    _SIZE: "is no size: write a number and KB, MB, GB, KiB, MiB or GiB",
    _URL: "is no URL: write http:// or https://, and the host",
}
"""What people are told of a value that a pattern does not admit."""

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
NameGlob = Annotated[str, StringConstraints(pattern=_NAME_OR_GLOB)]
Check = Literal["certificate_expiry", "volume_nearly_full", "hpa_at_maximum", "single_replica", "image_latest"]
Namespace = Annotated[str, StringConstraints(pattern=_NAMESPACE)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)


class Server(_Section):
    """The HTTP API: webhook, operators, metrics."""

    host: Text = Field(
        default="0.0.0.0", description="Address to listen on; in a pod it must be reachable from outside"
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes a free one")
    max_body_bytes: int = Field(
        default=32 * 1024 * 1024, ge=1024, description="Largest request body, bytes; above it 413"
    )
    header_timeout_seconds: float = Field(
        default=10.0, gt=0, description="Time for a request's headers to arrive, seconds"
    )
    body_timeout_seconds: float = Field(default=30.0, gt=0, description="Time for a request's body to arrive, seconds")
    shutdown_seconds: float = Field(
        default=20.0, gt=0, le=25, description="Time to end in-flight work at SIGTERM, seconds"
    )
    allowed_hosts: tuple[Text, ...] = Field(
        default=(), description="Further host names that operators may call; the Service's own and addresses always may"
    )
    max_connections: int = Field(default=2048, ge=1, description="Open connections at once; more are closed at once")


class Auth(_Section):
    """Credentials, each in a file. A file is read again when it changes."""

    webhook_token_file: Path | None = Field(default=None, description="Bearer token of `POST /webhook/alertmanager`")
    webhook_basic_file: Path | None = Field(default=None, description="`user:password` of the same, for HTTP basic")
    viewer_tokens_file: Path | None = Field(default=None, description="Lines `name:token` of people who may read")
    operator_tokens_file: Path | None = Field(default=None, description="Lines `name:token` of people who may decide")


class Store(_Section):
    """The DuckDB file."""

    path: Text = Field(default="./data/clopus.duckdb", description="Database file; `:memory:` keeps nothing")
    memory_limit: str = Field(default="256MB", pattern=_SIZE, description="DuckDB's memory limit, with unit")


class Cluster(_Section):
    """Which cluster, and with which credential. All empty: the pod's own service account."""

    kubeconfig: Path | None = Field(default=None, description="kubeconfig file, for use outside the cluster")
    context: str = Field(default="", description="Context of the kubeconfig; empty takes its current one")
    api_url: str = Field(default="", pattern=_URL, description="API server URL, used with token_file and ca_file")
    token_file: Path | None = Field(default=None, description="Bearer token for api_url")
    ca_file: Path | None = Field(default=None, description="CA certificates (PEM) for api_url")
    namespaces: tuple[Namespace, ...] = Field(
        default=(), description="Namespaces that may be read and changed; empty means every namespace that RBAC permits"
    )
    own_namespace: str = Field(
        default="", description="Namespace Clopus runs in, never changed; empty takes that of the pod's service account"
    )
    protected_namespaces: tuple[Namespace, ...] = Field(
        default=(), description="Never changed, besides kube-system, kube-public, kube-node-lease and Clopus's own"
    )
    request_timeout_seconds: float = Field(default=10.0, gt=0, le=120, description="Time for one API request, seconds")
    late_write_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="A write without an answer may still take effect for this long, seconds;"
        " the API server's own --request-timeout",
    )


class Rules(_Section):
    """Rule files."""

    paths: tuple[Path, ...] = Field(
        default=(Path("rules"),), min_length=1, description="Rule files or directories, in order"
    )


class ModeSection(_Section):
    """The brake that holds at start. At run time `clopus mode` sets it."""

    ceiling: Mode = Field(
        default=Mode.AUTONOMOUS, description="Highest mode any rule may reach; it lowers and never raises"
    )


class Intake(_Section):
    """How much may wait between the webhook and the workers. Beyond it the sender is told to come again (503)."""

    max_pending_alerts: int = Field(
        default=200_000, ge=1, description="Alerts that may wait to be folded into incidents, count"
    )
    max_pending_bytes: int = Field(
        default=256 * 1024 * 1024, ge=1024, description="Alerts that may wait for commit, bytes"
    )
    grace_seconds: float = Field(
        default=300.0, ge=0, description="A copy that arrives this long after its resolve does not reopen, seconds"
    )
    shared_cause_workloads: int = Field(
        default=3,
        ge=0,
        description="So many workloads with one known cause (image, node, ConfigMap) are one incident; 0: never",
    )
    storm_workloads: int = Field(
        default=5,
        ge=0,
        description="So many workloads with one alert name within storm_seconds are one incident; 0: never",
    )
    storm_seconds: float = Field(default=300.0, gt=0, description="See storm_workloads, seconds")


class Pipeline(_Section):
    """The workers."""

    workers: int = Field(default=8, ge=1, le=256, description="Incidents worked on at once, count")
    max_plans_per_incident: int = Field(
        default=5, ge=1, le=50, description="Plans of one incident before a human must look"
    )


class Watch(_Section):
    """Kubernetes as a source of alerts, and the record of what others changed."""

    enabled: bool = Field(default=True, description="Watch the cluster; `false` leaves only the webhook")
    namespaces: tuple[NameGlob, ...] = Field(
        default=(),
        description="Names or globs (`shop-*`) of namespaces to watch; empty takes cluster.namespaces, and without"
        " these all. Only names, no globs: per-namespace Roles are enough",
    )
    namespace_selector: str = Field(
        default="", description="Label selector (`team=shop,env!=dev`) that namespaces must match besides"
    )
    exclude_namespaces: tuple[NameGlob, ...] = Field(default=(), description="Names or globs of namespaces left out")
    exclude_kinds: tuple[Text, ...] = Field(
        default=(), description="Kinds of objects or of owners left out: `Job`, `CronJob`, `Node`"
    )
    exclude_names: tuple[NameGlob, ...] = Field(
        default=(), description="Names or globs of objects or of their owners left out"
    )
    exclude_selector: str = Field(default="", description="Objects whose labels match this selector are left out")
    exclude_init_containers: bool = Field(default=False, description="Leave the state of init containers out")
    soak_seconds: float = Field(
        default=60.0, ge=0, description="A condition is over once it has been gone this long, seconds; at the least"
    )
    age_factor: float = Field(
        default=1.0, ge=0, le=100, description="Multiplies how long each condition must last before it counts"
    )
    resync_seconds: float = Field(
        default=900.0, ge=10, description="Everything is listed again this often, seconds: a net under lost events"
    )
    checks: tuple[Check, ...] = Field(
        default=(),
        description="Proactive checks, which only ever report: certificate_expiry, volume_nearly_full, hpa_at_maximum,"
        " single_replica, image_latest",
    )


class Changes(_Section):
    """The record of what others changed."""

    enabled: bool = Field(default=True, description="Record the versions of objects that explain failures")
    keep_days: float = Field(default=30.0, gt=0, description="Older versions are dropped, days; the newest one stays")
    max_versions: int = Field(default=50, ge=2, description="Versions kept of one object, count")
    max_object_bytes: int = Field(
        default=262_144, ge=1024, description="A larger version keeps its differences only, bytes"
    )
    max_total_bytes: int = Field(
        default=512 * 1024 * 1024, ge=1_048_576, description="Of all versions together, bytes; the oldest go first"
    )


class Prometheus(_Section):
    """Where metrics are asked for: by the check of volumes, and by language models where they look."""

    url: str = Field(default="", pattern=_URL, description="Base URL of Prometheus; empty: none")
    token_file: Path | None = Field(default=None, description="Bearer token for it")


class Analysis(_Section):
    """What investigations by a language model may cost. At a limit the detectors' answer stands."""

    concurrent: int = Field(
        default=3, ge=1, le=64, description="Investigations by models at once, count; always fewer than workers"
    )
    max_turns: int = Field(default=12, ge=1, le=100, description="Replies of a model in one investigation, count")
    max_tool_calls: int = Field(default=40, ge=0, le=1000, description="Looks in one investigation, count")
    max_evidence_bytes: int = Field(
        default=262_144, ge=1024, description="Told to a model in one investigation, tool results together, bytes"
    )
    max_tokens: int = Field(
        default=1_000_000, ge=1000, description="In one investigation, read and written together, count"
    )
    max_usd: float = Field(default=10.0, ge=0, description="One investigation, US dollars")
    max_usd_per_hour: float = Field(default=30.0, ge=0, description="All investigations of any 60 minutes, US dollars")
    max_usd_per_day: float = Field(default=100.0, ge=0, description="All investigations of any 24 hours, US dollars")
    max_usd_per_namespace_day: float = Field(
        default=40.0, ge=0, description="Those about one namespace in any 24 hours, US dollars: no tenant spends it all"
    )
    max_tokens_per_day: int = Field(
        default=20_000_000, ge=1000, description="All investigations of any 24 hours, read and written, count"
    )
    request_seconds: float = Field(
        default=180.0,
        gt=0,
        description="One request to a provider, seconds; one that hangs leaves time for the next analyzer",
    )
    retry_seconds: float = Field(
        default=60.0,
        ge=0,
        le=600,
        description="A request that a provider did not answer is repeated this long, seconds",
    )
    keep_snapshot_days: float = Field(
        default=14.0, gt=0, description="What investigations looked at is kept this long for replays, days"
    )
    system_prompt_file: Path | None = Field(
        default=None, description="Text added to the system prompt: what is special about this cluster"
    )


class Claude(_Section):
    """The analyzer `claude`. Without a model it is not used."""

    model: str = Field(default="", description="Model id, as the provider names it")
    platform: Literal["direct", "bedrock", "vertex"] = Field(default="direct", description="Whose API is called")
    base_url: str = Field(default="", pattern=_URL, description="Gateway in place of the platform's own address")
    api_key_file: Path | None = Field(
        default=None, description="File with the API key; of bedrock and vertex the bearer token. Read again on change"
    )
    region: str = Field(default="", description="Of bedrock and vertex")
    project: str = Field(default="", description="Of vertex: the project's id")
    max_output_tokens: int = Field(default=8192, ge=256, le=64_000, description="Of one reply, count")
    effort: Literal["", "low", "medium", "high"] = Field(
        default="", description="How hard it thinks; empty: its default"
    )
    thinking: bool = Field(default=True, description="Have its reasoning told, in summary")
    usd_per_million_input: float = Field(default=15.0, ge=0, description="Price of tokens read, US dollars")
    usd_per_million_cache_read: float = Field(default=1.5, ge=0, description="Of those from the cache")
    usd_per_million_cache_write: float = Field(default=18.75, ge=0, description="Of those written to the cache")
    usd_per_million_output: float = Field(default=75.0, ge=0, description="Of tokens written")


class OpenaiCompatible(_Section):
    """The analyzer `openai_compatible`: Chat Completions with tools (vLLM, Ollama, llama.cpp, gateways)."""

    model: str = Field(default="", description="Model id, as the server names it; empty: the analyzer is not used")
    base_url: str = Field(default="", pattern=_URL, description="The API's address, with its `/v1`")
    api_key_file: Path | None = Field(
        default=None, description="File with the API key, if it needs one. Read again on change"
    )
    max_output_tokens: int = Field(default=4096, ge=256, le=64_000, description="Of one reply, count")
    usd_per_million_input: float | None = Field(
        default=None, ge=0, description="Price of tokens read, US dollars; has to be said, 0 for a model of your own"
    )
    usd_per_million_cache_read: float | None = Field(
        default=None, ge=0, description="Of those from a cache; empty: as read"
    )
    usd_per_million_output: float | None = Field(default=None, ge=0, description="Of tokens written; has to be said")


class Query(_Section):
    """SQL by operators: `clopus sql`, the console, `POST /api/v1/query`. It runs on a copy, in a process of its own."""

    enabled: bool = Field(default=True, description="Answer statements")
    seconds: float = Field(default=10.0, gt=0, le=120, description="Time for one statement, seconds")
    rows: int = Field(
        default=10_000, ge=1, le=100_000, description="Rows of one answer, count; it says when it is cut off"
    )
    bytes: int = Field(default=4 * 1024 * 1024, ge=1024, le=16 * 1024 * 1024, description="Rows of one answer, bytes")
    memory_mib: int = Field(
        default=64,
        ge=32,
        le=4096,
        description="DuckDB's memory for one statement, MiB; its process may take four times that beyond its start",
    )
    waiting: int = Field(default=4, ge=0, le=64, description="Statements that wait for the one that runs, count")
    copy_seconds: float = Field(
        default=10.0, ge=0, le=3600, description="Age up to which statements share one copy of the record, seconds"
    )


class Log(_Section):
    """Structured log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is written"
    )
    format: Literal["json", "console"] = Field(
        default="json", description="One JSON object per line, or text for people"
    )


class Settings(_Section):
    """All settings, complete and checked."""

    server: Server = Server()
    auth: Auth = Auth()
    store: Store = Store()
    cluster: Cluster = Cluster()
    rules: Rules = Rules()
    mode: ModeSection = ModeSection()
    intake: Intake = Intake()
    pipeline: Pipeline = Pipeline()
    watch: Watch = Watch()
    changes: Changes = Changes()
    prometheus: Prometheus = Prometheus()
    analysis: Analysis = Analysis()
    claude: Claude = Claude()
    openai_compatible: OpenaiCompatible = OpenaiCompatible()
    query: Query = Query()
    log: Log = Log()


def load_settings(path: Path | None, env: Mapping[str, str]) -> Settings:
    """The settings of the file (None: only defaults) with those of the environment over it.

    Raises:
        ConfigErrors: every wrong key and value of both.
    """
    errors: list[ConfigError] = []
    values: dict[str, Plain] = {}
    places: dict[tuple[str, ...], Place] = {}
    if path is not None:
        values = _from_file(path, places, errors)
    _overlay(values, env, places, errors)
    try:
        settings = Settings.model_validate(values)
    except ValidationError as exc:
        errors.extend(_translated(error, places, path) for error in exc.errors(include_url=False))
        raise ConfigErrors(errors) from exc
    if errors:
        raise ConfigErrors(errors)
    return _with_own_namespace(settings)


def reference() -> str:
    """Every setting as Markdown: one table per section."""
    parts = []
    for name, section in _sections():
        doc = " ".join((section.__doc__ or "").split())
        parts.append(f"### `{name}`\n\n{doc}\n\n| key | default | meaning |\n|---|---|---|")
        for key, info in section.model_fields.items():
            default = json.dumps(info.default, default=lambda value: str(value) if isinstance(value, Path) else value)
            shown = "" if default in ("null", '""', "[]") else f"`{default.strip(chr(34))}`"
            parts[-1] += f"\n| `{key}` | {shown} | {info.description} |"
    return "\n\n".join(parts) + "\n"


def environment_name(section: str, key: str) -> str:
    return f"{ENV_PREFIX}{section.upper()}__{key.upper()}"


def _sections() -> Iterator[tuple[str, type[_Section]]]:
    for name, info in Settings.model_fields.items():
        section = info.annotation
        assert isinstance(section, type)
        assert issubclass(section, _Section)
        yield name, section


def _known() -> Mapping[str, tuple[str, str]]:
    """Environment variable to section and key."""
    return {environment_name(name, key): (name, key) for name, section in _sections() for key in section.model_fields}


def _with_own_namespace(settings: Settings) -> Settings:
    if settings.cluster.own_namespace or not SERVICE_ACCOUNT_NAMESPACE.is_file():
        return settings
    found = SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()
    return settings.model_copy(update={"cluster": settings.cluster.model_copy(update={"own_namespace": found})})


def _from_file(path: Path, places: dict[tuple[str, ...], Place], errors: list[ConfigError]) -> dict[str, Plain]:
    try:
        raw = read(path)
    except OSError as exc:
        errors.append(ConfigError(path=path, problem=f"cannot be read: {exc.strerror}"))
        return {}
    problems = Problems(str(path))
    root = parse(raw, problems)
    errors.extend(problems.found)
    if isinstance(root, Table):
        plain = _plain(root, (), str(path), places)
        return plain if isinstance(plain, dict) else {}
    if root is not None:
        errors.append(ConfigError(path=path, problem=f"must be a mapping, not {root.described}"))
    return {}


def _plain(node: Node, where: tuple[str, ...], path: str, places: dict[tuple[str, ...], Place]) -> Plain:
    """The tree as plain values; where each stood goes into `places`."""
    places[where] = (path, node.line, node.column)
    match node:
        case Table():
            return {e.key.value: _plain(e.node, (*where, e.key.value), path, places) for e in node.entries}
        case Items():
            return [_plain(item, (*where, str(n)), path, places) for n, item in enumerate(node.nodes)]
        case Scalar(kind="null"):
            return None
        case Scalar():
            return (
                node.value
            )  # as written: the field's type decides what it means, not YAML, so `no` and 1.10 stay text


def _overlay(
    values: dict[str, Plain],
    env: Mapping[str, str],
    places: dict[tuple[str, ...], Place],
    errors: list[ConfigError],
) -> None:
    known = _known()
    for variable in sorted(env):
        # Without the double underscore it is no setting: Kubernetes itself injects CLOPUS_SERVICE_HOST and the like.
        if not variable.startswith(ENV_PREFIX) or "__" not in variable:
            continue
        if variable not in known:
            errors.append(ConfigError(path=ENVIRONMENT, key=variable, problem=unknown("variable", variable, known)))
            continue
        section, key = known[variable]
        inner = values.setdefault(section, {})
        if isinstance(inner, dict):
            inner[key] = _from_text(section, key, env[variable])
            places[section, key] = (ENVIRONMENT, 0, 0)


def _from_text(section: str, key: str, written: str) -> Plain:
    """A variable's value: lists are separated by commas, and an empty one unsets what may be unset."""
    annotation = dict(_sections())[section].model_fields[key].annotation
    arguments = get_args(annotation)
    if Ellipsis in arguments:
        return [part.strip() for part in written.split(",") if part.strip()]
    return None if not written and NoneType in arguments else written


def _translated(error: ErrorDetails, places: Mapping[tuple[str, ...], Place], path: Path | None) -> ConfigError:
    where = tuple(str(part) for part in error["loc"])
    fallback = (str(path or ENVIRONMENT), 0, 0)
    file, line, column = next((places[where[:n]] for n in range(len(where), 0, -1) if where[:n] in places), fallback)
    key = environment_name(*where[:2]) if file == ENVIRONMENT and len(where) > 1 else ".".join(where)
    return ConfigError(path=file, line=line, column=column, key=key, problem=_problem(error, where))


def _problem(error: ErrorDetails, where: tuple[str, ...]) -> str:
    match error["type"]:
        case "extra_forbidden":
            section = dict(_sections()).get(where[0])
            siblings = section.model_fields if section and len(where) > 1 else Settings.model_fields
            return unknown("key", where[-1], siblings)
        case "enum" | "literal_error":
            words = [
                word.strip(" '")
                for word in str(error.get("ctx", {}).get("expected", "")).replace(" or ", ",").split(",")
            ]
            return unknown("value", str(error["input"]), words)
        case "string_pattern_mismatch":
            return f"{error['input']!r} {_WANTED[error.get('ctx', {})['pattern']]}"
        case "model_type" | "dict_type":
            return "must be a mapping"
        case _:
            return error["msg"][:1].lower() + error["msg"][1:]
