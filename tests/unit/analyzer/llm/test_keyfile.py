from __future__ import annotations

import os
from pathlib import Path

import pytest

from responder.analyzer.llm.keyfile import KeyFile
from responder.domain.errors import ConfigError

KEY = "sk-0123456789abcdef"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    return file


def test_blanks_around_the_key_do_not_belong_to_it(path: Path) -> None:
    path.write_text(f"  {KEY}\r\n\n")
    assert KeyFile(path).current() == KEY


def test_key_written_in_place_is_seen(path: Path) -> None:
    keys = KeyFile(path)
    keys.current()
    path.write_text("another-key-of-other-length")
    assert keys.current() == "another-key-of-other-length"


def test_key_of_the_same_length_and_time_is_seen(path: Path) -> None:
    keys = KeyFile(path)
    keys.current()
    state = path.stat()
    path.write_text(KEY[::-1] + "\n")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert keys.current() == KEY[::-1]


def test_key_behind_a_flipped_symlink_is_seen(tmp_path: Path) -> None:
    for name, key in (("v1", "first-key"), ("v2", "other-key")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(key)
    data = tmp_path / "..data"
    data.symlink_to("v1")
    keys = KeyFile(data / "key")
    assert keys.current() == "first-key"
    (tmp_path / "..next").symlink_to("v2")
    (tmp_path / "..next").replace(data)
    assert keys.current() == "other-key"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"line-one\nline-two\n", "more than one line"),
        (b"two words", "characters that no key has"),
        (b"k\x00y", "characters that no key has"),
        ("schlüssel".encode(), "characters that no key has"),
        (b"k" * 70_000, "larger than"),
    ],
)
def test_file_without_a_key_is_refused_and_not_shown(path: Path, content: bytes, problem: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=problem) as caught:
        KeyFile(path).current()
    assert len(str(caught.value)) < len(str(path)) + 100


def test_missing_file_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        KeyFile(tmp_path / "nowhere").current()


def test_bad_file_does_not_leave_the_old_key_in_use(path: Path) -> None:
    keys = KeyFile(path)
    keys.current()
    path.write_text("")
    for _ in range(2):
        with pytest.raises(ConfigError):
            keys.current()


@pytest.mark.inv(46)
def test_key_is_not_in_the_representation(path: Path) -> None:
    keys = KeyFile(path)
    keys.current()
    assert KEY not in f"{keys!r} {keys}"
