"""YAML as a tree with places."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from responder.document import Items, Problems, Scalar, Table, nearest, parse, unknown


def test_every_value_knows_its_line_and_column() -> None:
    root = parse(b"a:\n  - \xc3\xa9: [1]\n", Problems("x"))
    assert isinstance(root, Table)
    (entry,) = root.entries
    assert isinstance(entry.node, Items)
    (inner,) = entry.node.nodes
    assert isinstance(inner, Table)
    assert (inner.line, inner.column) == (2, 5)
    assert (inner.entries[0].node.line, inner.entries[0].node.column) == (2, 8)


def test_what_yaml_makes_of_a_plain_value_is_told_apart_from_quoted_text() -> None:
    root = parse(b"[no, 'no', 1.10, 08, ~, 12:30, 2026-11-23]", Problems("x"))
    assert isinstance(root, Items)
    kinds = [node.kind for node in root.nodes if isinstance(node, Scalar)]
    assert kinds == ["bool", "str", "float", "str", "null", "int", "timestamp"]


def test_the_nearest_word_keeps_its_own_letters() -> None:
    assert nearest("CLOPUS_STORE__PTH", ["CLOPUS_STORE__PATH", "CLOPUS_LOG__LEVEL"]) == "CLOPUS_STORE__PATH"
    assert nearest("auto", ["report", "autonomous"]) == "autonomous"
    assert nearest("zzz", ["report"]) == ""


def test_a_word_near_none_is_answered_with_all() -> None:
    assert unknown("mode", "zzz", ["report", "dry-run"]) == "unknown mode 'zzz'; known: report, dry-run"


@given(raw=st.binary(max_size=200) | st.text(alphabet="ab:-[]{},&*!'\"#|>%@`? \n\t", max_size=80).map(str.encode))
def test_any_bytes_are_a_tree_or_a_problem(raw: bytes) -> None:
    problems = Problems("x")
    assert parse(raw, problems) is not None or problems.found
