"""From bytes to frames, and how long one waits between attempts. The reader itself is in tests/console."""

from __future__ import annotations

import pytest

from console.remote.stream import Frame, Frames, Timing

EVENT = 'event: audit\nid: 7.2\ndata: {"a":\ndata: "ü"}\n\n'
FRAME = Frame(name="audit", data='{"a":\n"ü"}')


def read(*pieces, **how):
    frames = Frames(**how)
    return [frame for piece in pieces for frame in frames.feed(piece)], frames.last_id


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_each_kind_of_line_end_ends_a_line(end):
    assert read(EVENT.replace("\n", end).encode()) == ([FRAME], "7.2")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_it_does_not_matter_how_the_bytes_were_cut(end, size):
    data = (EVENT + EVENT.replace("7.2", "7.3")).replace("\n", end).encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert read(*pieces) == ([FRAME, FRAME], "7.3")


def test_a_frame_that_was_cut_off_is_no_event_and_its_id_is_not_kept():
    assert read(EVENT.encode(), b'event: audit\nid: 8.2\ndata: {"a"') == ([FRAME], "7.2")


def test_an_id_without_data_moves_on_and_is_no_event():
    assert read(b": nothing new\nid: 9.9\n\n", last_id="7.2") == ([], "9.9")


def test_a_comment_alone_keeps_the_id():
    assert read(b": nothing new\n\n", last_id="7.2") == ([], "7.2")


@pytest.mark.parametrize("line", ["id", "id:", "id: a b", "id: \x00", "id: é", "id: " + "9" * 200])
def test_an_id_that_no_header_could_carry_is_none(line):
    assert read(f"{line}\n\n".encode(), last_id="7.2") == ([], "7.2")


@pytest.mark.parametrize(
    ("sent", "frame"),
    [
        (b"data:x\n\n", Frame(name="message", data="x")),
        (b"data:  x\n\n", Frame(name="message", data=" x")),
        (b"data\n\n", Frame(name="message", data="")),
        (b"\xef\xbb\xbfdata: x\n\n", Frame(name="message", data="x")),
        (b"retry: 5\nunknown: y\ndata: x\n\n", Frame(name="message", data="x")),
        (b"data: \xff\n\n", Frame(name="message", data="\ufffd")),
    ],
)
def test_fields_are_read_as_the_format_says(sent, frame):
    assert read(sent)[0] == [frame]


def test_a_name_holds_for_its_own_frame_only():
    assert [frame.name for frame in read(b"event: step\ndata: x\n\ndata: y\n\n")[0]] == ["step", "message"]


@pytest.mark.parametrize("data", ["data: " + "x" * 100, "\n".join(["data: " + "x" * 20] * 5)])
def test_what_is_too_long_is_told_as_such_and_the_next_one_is_read(data):
    sent = f"event: audit\nid: 8.2\n{data}\n\n{EVENT}".encode()
    pieces = [sent[at : at + 10] for at in range(0, len(sent), 10)]
    frames, last_id = read(*pieces, max_bytes=60)
    assert frames == [Frame(name="audit", data="", whole=False), FRAME]
    assert last_id == "7.2"


def test_the_id_after_what_is_too_long_is_kept():
    sent = b"event: audit\ndata: " + b"x" * 100 + b"\nid: 8.2\n\n"
    assert read(sent, max_bytes=60) == ([Frame(name="audit", data="", whole=False)], "8.2")


@pytest.mark.parametrize(
    ("attempt", "shortest", "longest"), [(1, 0.5, 1.0), (2, 1.0, 2.0), (4, 4.0, 8.0), (5, 5.0, 10.0), (5000, 5.0, 10.0)]
)
def test_waits_grow_to_a_limit_and_are_spread(attempt, shortest, longest):
    assert Timing().wait(attempt, 1.0) == shortest
    assert Timing().wait(attempt, 0.0) == longest
