"""Within an incident one secret has one name, and the way back stays in the process."""

from __future__ import annotations

import base64
import copy
import json
import pickle
import threading

import pytest

from responder.redact import placeholders
from responder.redact.placeholders import PlaceholderBook, Placeholders

pytestmark = pytest.mark.inv(47)

TOKEN = "ghp_" + "A1b2" * 9
OTHER = "ghp_" + "C3d4" * 9
NAME = "[redacted:github-token:1]"


@pytest.fixture
def secrets() -> Placeholders:
    return Placeholders()


def test_the_same_secret_has_the_same_name_and_another_has_another(secrets):
    assert secrets.redact(f"{TOKEN} {OTHER} {TOKEN}") == f"{NAME} [redacted:github-token:2] {NAME}"
    assert secrets.redact(OTHER) == "[redacted:github-token:2]"


@pytest.mark.parametrize(
    "text",
    [
        f"GIT_TOKEN={TOKEN}",
        f"Authorization: token {TOKEN}",
        f"https://app:{TOKEN}@git.example/x",
        base64.b64encode(TOKEN.encode()).decode(),
        TOKEN.encode().hex(),
        "".join(f"%{byte:02x}" for byte in TOKEN.encode()),
        f'"{TOKEN[:20]}" + "{TOKEN[20:]}"',
    ],
)
def test_a_secret_keeps_its_name_in_other_forms(secrets, text):
    secrets.redact(TOKEN)
    assert NAME in secrets.redact(text)


def test_a_password_in_a_link_and_in_a_variable_has_one_name(secrets):
    assert secrets.redact("DB_PASSWORD=hunter2-a1b2") == "DB_PASSWORD=[redacted:assignment:1]"
    assert secrets.redact("postgres://app:hunter2-a1b2@db/x") == "postgres://[redacted:assignment:1]@db/x"


def test_a_secret_of_an_object_keeps_its_name(secrets):
    secrets.redact(TOKEN)
    found = secrets.redact_object({"kind": "Secret", "data": {"x": base64.b64encode(TOKEN.encode()).decode()}})
    assert found == {"kind": "Secret", "data": {"x": NAME}}
    env = {"env": [{"name": "GIT_TOKEN", "value": TOKEN}]}
    assert secrets.redact_object(env) == {"env": [{"name": "GIT_TOKEN", "value": NAME}]}


def test_names_are_of_one_incident_only():
    first, second = Placeholders(), Placeholders()
    first.redact(TOKEN)
    assert second.redact(OTHER) == NAME
    assert second.restore(NAME) == OTHER


def test_what_is_redacted_already_stays(planted, secret):
    secrets = Placeholders()
    once = secrets.redact(f"a {planted} b")
    assert secrets.redact(once) == once


def test_an_object_that_is_redacted_already_stays(secrets):
    once = secrets.redact_object({"data": {"PASSWORD": "a1b2", "x": f"token: {TOKEN}"}, "kind": "ConfigMap"})
    assert secrets.redact_object(once) == once


def test_a_name_is_turned_back_for_who_holds_the_placeholders(secrets):
    text = f"clone with {TOKEN}"
    assert secrets.restore(secrets.redact(text)) == text


def test_a_name_with_a_number_that_was_not_given_loses_it(secrets):
    forged = "[redacted:github-token:7] and [redacted:jwt:1]"
    assert secrets.redact(forged) == "[redacted:github-token] and [redacted:jwt]"
    assert secrets.restore(forged) == forged


def test_a_forged_name_is_never_turned_back_on_the_way_out(secrets):
    secrets.redact(TOKEN)
    assert TOKEN not in secrets.redact(f"{NAME} {NAME}")
    assert TOKEN not in json.dumps(secrets.redact_object({"data": {"x": NAME}}))


def test_beyond_the_limit_secrets_have_no_number(secrets, monkeypatch):
    monkeypatch.setattr(placeholders, "MAX_SECRETS", 1)
    assert secrets.redact(f"{TOKEN} {OTHER}") == f"{NAME} [redacted:github-token]"


def test_a_secret_of_great_length_is_not_kept(secrets):
    assert secrets.redact(f"PASSWORD={'a1' * 5_000}") == "PASSWORD=[redacted:assignment]"


def test_all_secrets_together_are_bounded(secrets):
    for number in range(200):
        secrets.redact(f"PASSWORD={number}{'a1' * 2_000}")
    assert secrets.redact(f"PASSWORD=x{'a1' * 2_000}") == "PASSWORD=[redacted:assignment]"


@pytest.mark.parametrize("show", [repr, str, lambda found: f"{found!r} {vars(type(found))}"])
def test_nothing_that_shows_placeholders_shows_a_secret(secrets, show):
    secrets.redact(TOKEN)
    assert TOKEN not in show(secrets)


@pytest.mark.parametrize("leave", [pickle.dumps, copy.copy, copy.deepcopy])
def test_placeholders_are_neither_copied_nor_pickled(secrets, leave):
    secrets.redact(TOKEN)
    with pytest.raises(TypeError) as refused:
        leave(secrets)
    assert TOKEN not in str(refused.value)
    with pytest.raises(TypeError):
        leave(PlaceholderBook())


def test_threads_give_each_secret_one_name(secrets):
    given = []
    texts = [f"ghp_{number:04d}{'A1b2' * 8}" for number in range(50)]
    threads = [threading.Thread(target=lambda: given.extend(map(secrets.redact, texts))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given)) == len(texts)


def test_what_cannot_be_redacted_raises_and_shows_nothing(secrets):
    nested: dict[str, object] = {"x": TOKEN}
    for _ in range(100_000):
        nested = {"x": nested}
    with pytest.raises(RecursionError) as failed:
        secrets.redact_object(nested)
    assert TOKEN not in str(failed.value)


def test_lone_surrogates_are_borne(secrets):
    assert secrets.redact(f"\ud800 {TOKEN}") == f"? {NAME}"


class TestBook:
    def test_an_incident_has_the_same_placeholders_each_time(self):
        book = PlaceholderBook()
        assert book.of("inc-1") is book.of("inc-1")
        assert book.of("inc-1") is not book.of("inc-2")

    def test_the_incident_asked_for_longest_ago_is_forgotten(self):
        book = PlaceholderBook()
        kept, lost = book.of("kept"), book.of("lost")
        for number in range(placeholders.MAX_INCIDENTS - 1):
            book.of("kept")
            book.of(f"inc-{number}")
        assert book.of("kept") is kept
        assert book.of("lost") is not lost
