"""Token files, credentials, Host and Origin."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from responder.api.auth import Credentials, Identity, Role, TokenFile, host_allowed, origin_allowed
from responder.domain.errors import ConfigError

TOKEN = "a-token-of-enough-length"


def credentials(tmp_path: Path, content: str, *, role: Role = Role.OPERATOR) -> Credentials:
    path = tmp_path / "night-shift.txt"
    path.write_text(content)
    return Credentials([TokenFile(path=path, role=role)])


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (f"olga:{TOKEN}\n", "olga"),
        (f"# a comment\n\n  olga : {TOKEN}  \r\n", "olga"),
        (f"{TOKEN}\n", "night-shift"),
        (f"olga:{TOKEN}:with:colons", "olga"),
    ],
)
def test_a_token_names_its_owner(tmp_path: Path, content: str, name: str) -> None:
    token = TOKEN + (":with:colons" if "colons" in content else "")
    assert credentials(tmp_path, content).identify(f"Bearer {token}") == Identity(name=name, role=Role.OPERATOR)


@pytest.mark.parametrize(
    ("authorization", "known"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer {TOKEN}", True),
        (basic("olga", TOKEN), True),
        (basic("vera", TOKEN), False),
        (basic("", TOKEN), False),
        (basic("olga", ""), False),
        ("Basic not-base64!", False),
        ("Basic /w==", False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        ("Bearer ", False),
        ("Bearer \ud800", False),
        (TOKEN, False),
        ("", False),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJvbGdhIn0.", False),
    ],
)
def test_only_the_exact_token_is_known(tmp_path: Path, authorization: str, known: bool) -> None:
    assert (credentials(tmp_path, f"olga:{TOKEN}").identify(authorization) is not None) is known


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "no token"),
        ("# nothing\n", "no token"),
        ("olga:short", "shorter than 16"),
        (f"оlga:{TOKEN}", "printable ASCII"),
        (f":{TOKEN}", "printable ASCII"),
        (f"olga:{TOKEN}\nvera:{TOKEN}", "same token as olga"),
    ],
)
def test_a_wrong_token_file_is_refused_at_the_start(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        credentials(tmp_path, content)
    assert TOKEN not in str(caught.value)


def test_a_missing_token_file_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Credentials([TokenFile(path=tmp_path / "absent", role=Role.VIEWER)])


def test_one_token_cannot_be_webhook_and_operator(tmp_path: Path) -> None:
    files = []
    for role in (Role.WEBHOOK, Role.OPERATOR):
        path = tmp_path / role
        path.write_text(f"{role}:{TOKEN}")
        files.append(TokenFile(path=path, role=role))
    with pytest.raises(ConfigError, match="same token as webhook"):
        Credentials(files)


@pytest.mark.inv(50)
@pytest.mark.parametrize("broken", [b"olga:short", b"olga:\xff\xfe, no text", b"#" * 2**20 + b"\n"])
def test_a_mistake_in_a_file_leaves_the_last_good_tokens(tmp_path: Path, broken: bytes) -> None:
    known = credentials(tmp_path, f"olga:{TOKEN}")
    (tmp_path / "night-shift.txt").write_bytes(broken)
    assert known.identify(f"Bearer {TOKEN}") is not None


def _replace_by_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


WITHDRAWALS: dict[str, Callable[[Path], object]] = {
    "emptied": lambda path: path.write_text(""),
    "only a comment left": lambda path: path.write_text("# nobody\n"),
    "deleted": lambda path: path.unlink(),
    "a directory in its place": _replace_by_a_directory,
}


@pytest.mark.inv(50)
@pytest.mark.parametrize("withdraw", WITHDRAWALS.values(), ids=WITHDRAWALS.keys())
def test_a_file_without_tokens_has_withdrawn_them(tmp_path: Path, withdraw: Callable[[Path], object]) -> None:
    known = credentials(tmp_path, f"olga:{TOKEN}")
    withdraw(tmp_path / "night-shift.txt")
    assert known.identify(f"Bearer {TOKEN}") is None


@pytest.mark.inv(50)
def test_a_withdrawn_file_leaves_the_tokens_of_the_others(tmp_path: Path) -> None:
    files = [TokenFile(path=tmp_path / role, role=role) for role in (Role.VIEWER, Role.OPERATOR)]
    for file in files:
        file.path.write_text(f"{file.role}:{file.role}-{TOKEN}")
    known = Credentials(files)
    files[1].path.unlink()
    assert known.identify(f"Bearer operator-{TOKEN}") is None
    assert known.identify(f"Bearer viewer-{TOKEN}") is not None


@pytest.mark.inv(50)
def test_a_mistake_after_a_withdrawal_brings_no_token_back(tmp_path: Path) -> None:
    known = credentials(tmp_path, f"olga:{TOKEN}")
    path = tmp_path / "night-shift.txt"
    path.write_text("")
    assert known.identify(f"Bearer {TOKEN}") is None
    path.write_text("olga:short")
    assert known.identify(f"Bearer {TOKEN}") is None


def test_a_file_that_comes_back_is_read_again(tmp_path: Path) -> None:
    known = credentials(tmp_path, f"olga:{TOKEN}")
    path = tmp_path / "night-shift.txt"
    path.unlink()
    assert known.identify(f"Bearer {TOKEN}") is None
    path.write_text(f"vera:{TOKEN}")
    assert known.identify(f"Bearer {TOKEN}") == Identity(name="vera", role=Role.OPERATOR)


def test_trouble_with_a_file_is_logged_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = credentials(tmp_path, f"olga:{TOKEN}")
    (tmp_path / "night-shift.txt").unlink()
    for _ in range(3):
        known.identify(f"Bearer {TOKEN}")
    assert "".join(capsys.readouterr()).count("token file withdrawn") == 1


@pytest.mark.parametrize(
    ("role", "may"),
    [
        (Role.WEBHOOK, {Role.WEBHOOK}),
        (Role.VIEWER, {Role.VIEWER}),
        (Role.OPERATOR, {Role.VIEWER, Role.OPERATOR}),
    ],
)
def test_roles_grant_no_more_than_their_own(role: Role, may: set[Role]) -> None:
    assert {needed for needed in Role if Identity(name="x", role=role).may(needed)} == may


ALLOWED = frozenset({"clopus.monitoring.svc"})


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:8080", True),
        ("[::1]:8080", True),
        ("10.1.2.3", True),
        ("clopus.monitoring.svc:8080", True),
        ("clopus.monitoring.svc.", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_a_host_name_that_is_not_ours_is_refused(host: str, allowed: bool) -> None:
    assert host_allowed(host, ALLOWED) is allowed


def test_every_host_name_passes_where_none_is_configured() -> None:
    assert host_allowed("evil.example", frozenset())


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("", "localhost:8080", True),
        ("http://localhost:8080", "localhost:8080", True),
        ("http://localhost:9999", "localhost:8080", False),
        ("https://evil.example", "localhost:8080", False),
        ("null", "localhost:8080", False),
        ("null", "", False),
        ("http://[", "localhost", False),
    ],
)
def test_another_sites_page_is_refused(origin: str, host: str, allowed: bool) -> None:
    assert origin_allowed(origin, host) is allowed
