"""Reports into files."""

from __future__ import annotations

import stat

import pytest

from console.exports import save


def test_a_report_is_written_for_its_owner_alone(tmp_path):
    written = save(b"# a", str(tmp_path / "report.md"), name="x.md")
    assert written == tmp_path / "report.md"
    assert written.read_bytes() == b"# a"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_a_file_that_is_there_stays_as_it_is(tmp_path):
    path = tmp_path / "report.md"
    first, second, third = (save(text, str(path), name="x.md") for text in (b"1", b"2", b"3"))
    assert [first.name, second.name, third.name] == ["report.md", "report-2.md", "report-3.md"]
    assert [file.read_bytes() for file in (first, second, third)] == [b"1", b"2", b"3"]


def test_a_link_that_stands_in_the_way_is_not_followed(tmp_path):
    (tmp_path / "report.md").symlink_to(tmp_path / "elsewhere")
    assert save(b"x", str(tmp_path / "report.md"), name="x.md").name == "report-2.md"
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        save(b"x", str(tmp_path / "nowhere" / "report.md"), name="x.md")


def test_a_folder_gets_a_file_of_the_given_name(tmp_path):
    assert save(b"x", str(tmp_path), name="x.md") == tmp_path / "x.md"


def test_without_a_name_it_goes_to_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert save(b"x", "", name="x.md") == tmp_path / "x.md"


def test_a_home_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert save(b"x", "~/y.md", name="x.md") == tmp_path / "y.md"
