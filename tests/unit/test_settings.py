"""Settings from a file and the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from responder import settings as settings_module
from responder.domain.errors import ConfigError, ConfigErrors
from responder.domain.rule import Mode
from responder.settings import Settings, environment_name, load_settings, reference


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "clopus.yaml"


def errors_of(path: Path | None, env: dict[str, str]) -> tuple[ConfigError, ...]:
    with pytest.raises(ConfigErrors) as caught:
        load_settings(path, env)
    return caught.value.errors


def test_nothing_said_is_all_defaults() -> None:
    assert load_settings(None, {}) == Settings()


def test_the_file_is_read(config: Path) -> None:
    config.write_text("server: {port: 9090}\nmode: {ceiling: report}\nrules: {paths: [a, b.yaml]}\n")
    settings = load_settings(config, {})
    assert settings.server.port == 9090
    assert settings.mode.ceiling is Mode.REPORT
    assert settings.rules.paths == (Path("a"), Path("b.yaml"))


def test_the_environment_wins_over_the_file(config: Path) -> None:
    config.write_text("server: {port: 9090, host: 127.0.0.1}\n")
    settings = load_settings(config, {"CLOPUS_SERVER__PORT": "7070"})
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 7070)


def test_a_list_in_the_environment_is_separated_by_commas() -> None:
    settings = load_settings(None, {"CLOPUS_CLUSTER__NAMESPACES": "shop, bank"})
    assert settings.cluster.namespaces == ("shop", "bank")


def test_an_empty_variable_unsets_a_file(config: Path) -> None:
    config.write_text("auth: {webhook_token_file: /etc/token}\n")
    assert load_settings(config, {"CLOPUS_AUTH__WEBHOOK_TOKEN_FILE": ""}).auth.webhook_token_file is None


def test_variables_that_kubernetes_injects_are_no_settings() -> None:
    assert load_settings(None, {"CLOPUS_SERVICE_HOST": "10.0.0.1", "CLOPUS_PORT": "tcp://10.0.0.1:8080"}) == Settings()


@pytest.mark.parametrize(
    ("text", "line", "column", "key", "problem"),
    [
        ("server:\n  prot: 1\n", 2, 9, "server.prot", "unknown key 'prot'; did you mean 'port'?"),
        ("sever: {}\n", 1, 8, "sever", "unknown key 'sever'; did you mean 'server'?"),
        ("server:\n  port: 99999\n", 2, 9, "server.port", "input should be less than or equal to 65535"),
        ("server: {port: true}\n", 1, 16, "server.port", "valid integer"),
        ("server: {port: 12:30}\n", 1, 16, "server.port", "valid integer"),
        ("server: {shutdown_seconds: .nan}\n", 1, 28, "server.shutdown_seconds", "input should be"),
        ("mode: {ceiling: autonmous}\n", 1, 17, "mode.ceiling", "did you mean 'autonomous'?"),
        ("log: {level: loud}\n", 1, 14, "log.level", "unknown value 'loud'; known: debug, info, warning, error"),
        ("server: 5\n", 1, 9, "server", "must be a mapping"),
        ("server: {port: 1, port: 2}\n", 1, 19, "", "the key 'port' is written twice"),
        ("cluster: {namespaces: [Shop]}\n", 1, 24, "cluster.namespaces.0", "'Shop' is no namespace's name"),
        ("watch: {namespaces: ['shop[']}\n", 1, 22, "watch.namespaces.0", "'shop[' is neither a name nor a glob"),
        ("prometheus: {url: 'prom:9090'}\n", 1, 19, "prometheus.url", "'prom:9090' is no URL"),
        ("store: {memory_limit: lots}\n", 1, 23, "store.memory_limit", "'lots' is no size"),
        ("store: {path: ''}\n", 1, 15, "store.path", "at least 1 character"),
        ("rules: {paths: []}\n", 1, 16, "rules.paths", "at least 1 item"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_its_place(
    config: Path, text: str, line: int, column: int, key: str, problem: str
) -> None:
    config.write_text(text)
    (error,) = errors_of(config, {})
    assert (error.path, error.line, error.column, error.key) == (str(config), line, column, key)
    assert problem in error.problem


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("CLOPUS_STORE__PTH", "x", "did you mean 'CLOPUS_STORE__PATH'?"),
        ("CLOPUS_SERVER__PORT", "http", "valid integer"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(variable: str, value: str, problem: str) -> None:
    (error,) = errors_of(None, {variable: value})
    assert (error.path, error.key) == ("environment", variable)
    assert problem in error.problem


def test_all_mistakes_are_reported_at_once(config: Path) -> None:
    config.write_text("server: {port: x}\nstor: {}\n")
    assert len(errors_of(config, {"CLOPUS_LOG__LVL": "info"})) == 3


@pytest.mark.parametrize("content", [None, "", "- a\n", "a: &x 1\n"])
def test_a_file_that_holds_no_settings_is_an_error(config: Path, content: str | None) -> None:
    if content is not None:
        config.write_text(content)
    assert errors_of(config, {})[0].path == str(config)


def test_text_is_text_whatever_yaml_thinks_of_it(config: Path) -> None:
    config.write_text("cluster: {context: no}\n")
    assert load_settings(config, {}).cluster.context == "no"


def test_the_own_namespace_is_that_of_the_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = tmp_path / "namespace"
    mounted.write_text("clopus-system\n")
    monkeypatch.setattr(settings_module, "SERVICE_ACCOUNT_NAMESPACE", mounted)
    assert load_settings(None, {}).cluster.own_namespace == "clopus-system"
    assert load_settings(None, {"CLOPUS_CLUSTER__OWN_NAMESPACE": "x"}).cluster.own_namespace == "x"


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValidationError):
        Settings().server.port = 1


KEYS = [
    (section, key, field)
    for section, info in Settings.model_fields.items()
    for key, field in info.annotation.model_fields.items()
]


@pytest.mark.parametrize(("section", "key", "field"), KEYS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_key_is_described_with_its_unit_and_stands_in_the_reference(
    section: str, key: str, field: object
) -> None:
    description = getattr(field, "description", "") or ""
    assert description
    for unit in ("seconds", "bytes"):
        if key.endswith(unit):
            assert unit in description
    assert re.search(rf"### `{section}`.*\| `{key}` \|", reference(), re.DOTALL)
    assert environment_name(section, key).startswith("CLOPUS_")


def test_no_secret_is_a_setting() -> None:
    """Tokens that are counted, in the plural, are none."""
    assert [
        key for _, key, _ in KEYS if re.search("token(?!s)|password|secret|key", key) and not key.endswith("_file")
    ] == []
