"""An encoding does not carry a secret past; neither does a line end in the middle of it."""

from __future__ import annotations

import base64
import gzip
import random
import string
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.redact import redact

pytestmark = pytest.mark.inv(47)

TOKEN = "ghp_" + "A1b2" * 9


def standard(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def url_safe(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def every_character(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def backslashes(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def folded(text: str) -> str:
    return base64.encodebytes(text.encode()).decode().strip()


ENCODINGS = {
    "base64": standard,
    "url-safe base64": url_safe,
    "base64 twice": lambda text: standard(standard(text)),
    "gzip": packed,
    "gzip twice in base64": lambda text: standard(packed(text)),
    "hexadecimal": lambda text: text.encode().hex(),
    "upper hexadecimal": lambda text: text.encode().hex().upper(),
    "percent": every_character,
    "percent over base64": lambda text: quote_from_bytes(standard(text).encode(), safe=""),
    "backslashes": backslashes,
    "folded base64": folded,
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_an_encoded_secret_goes_with_its_whole_run(token, encode):
    run = encode(f"user says {token} and so on")
    text = redact(f"value={run} next")
    assert run[len(run) // 3 : len(run) // 3 + 16] not in text
    assert "[redacted:" in text


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("around", ["{}", "/data/{}", '"x": "{}"', "{}\nnext", "a,{},b"])
def test_an_encoded_secret_is_found_in_whatever_it_stands(encode, around):
    run = encode(f"user says {TOKEN} and goes on for more than one line of the folded form")
    text = redact(around.format(run))
    assert run[len(run) // 3 : len(run) // 3 + 16] not in text


def test_a_format_that_needs_a_name_is_found_in_base64(planted, secret):
    assert standard(planted) not in redact(f"config: {standard(planted)}")


@pytest.mark.parametrize("start", ["", "x", "xy", "a/b/c/"])
def test_what_stands_glued_before_a_run_does_not_hide_it(start):
    assert standard(f"token={TOKEN}") not in redact(f"{start}{standard(f'token={TOKEN}')}")


@pytest.mark.parametrize(
    "plain",
    ["the quick brown fox jumps over", "replicas: 3\nimage: nginx:1.25\n", "\x00\x01binary\xff" * 9],
)
def test_an_encoded_text_without_a_secret_stays(plain):
    for encode in (standard, url_safe, packed):
        assert redact(f"data: {encode(plain)}") == f"data: {encode(plain)}"


def test_random_bytes_are_not_taken_for_a_secret():
    runs = random.Random(7)
    for size in (20, 32, 64, 300, 5_000):
        text = base64.b64encode(runs.randbytes(size)).decode()
        assert redact(text) == text


def test_what_unpacks_beyond_all_measure_is_taken_for_a_secret():
    assert redact(f"release: {packed('a' * 1_000_000)}") == "release: [redacted:encoded]"


@pytest.mark.parametrize(
    "broken",
    [
        'token := "ghp_A1b2A1b2A1" + "b2A1b2A1b2A1b2A1b2A1b2"',
        "'ghp_A1b2A1b2A1' .\n  'b2A1b2A1b2A1b2A1b2A1b2'",
        '"ghp_A1b2A1b2A1"\n"b2A1b2A1b2A1b2A1b2A1b2"',
        '"ghp_A1b2A1b2A1b2A1b2A1b2A1b2" + "A1b2A1b2"',
        "ghp_A1b2A1b2A1\n    b2A1b2A1b2A1b2A1b2A1b2",
        "ghp_A1b2A1b2A1\\\nb2A1b2A1b2A1b2A1b2A1b2",
        "ghp_A1b2A1b2A1b2A1b2A1b2A1b2\nA1b2A1b2",
    ],
)
def test_a_secret_broken_in_two_goes_with_both_halves(broken):
    assert "A1b2" not in redact(broken)


@pytest.mark.parametrize("text", [f"{TOKEN}\ndone", f"{TOKEN}\nready to serve", f'["{TOKEN}", "next"]'])
def test_what_follows_a_whole_secret_stays(text):
    assert redact(text) == text.replace(TOKEN, "[redacted:github-token]")


LONG = {
    "one run": "a" * 1_000_000,
    "base64": base64.b64encode(random.Random(1).randbytes(750_000)).decode(),
    "runs": " ".join(base64.b64encode(b"some text here %06d" % i).decode() for i in range(36_000)),
    "prefixes": "ghp_" * 250_000,
    "open quotes": 'password="' * 100_000,
    "open keys": "-----BEGIN PRIVATE KEY-----" * 37_000,
    "percents": "%41" * 333_000,
    "backslashes": "\\u0041" * 166_000,
    "literals": 'ghp_"+"' * 140_000,
    "line ends": "sk-\n" * 240_000,
    "links": "a://b:c" * 140_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_megabyte_of_anything_comes_to_an_end(text):
    assert redact(text) is not None


_words = st.text(alphabet=string.ascii_letters + string.digits + " =:/\\\"'\n%[]{},;@._-+", max_size=60)
_encode = st.sampled_from([str, standard, url_safe, every_character, backslashes, lambda text: text.encode().hex()])


@settings(max_examples=150, deadline=None)
@given(_words, _words, _encode)
def test_a_planted_secret_is_never_in_what_comes_out(before, after, encode):
    assert encode(TOKEN) not in redact(f"{before} {encode(TOKEN)} {after}")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "password",
                "token=",
                ": ",
                '"',
                "'",
                "\n",
                "://",
                "@",
                "abc",
                TOKEN,
                "%3D",
                "--",
                " ",
                "[redacted:jwt]",
                "[redacted:name:1]",
                "Cookie:",
                "Bearer ",
                "is ",
            ]
        ),
        max_size=12,
    )
)
def test_redacting_what_is_redacted_changes_nothing(parts):
    once = redact("".join(parts))
    assert redact(once) == once
