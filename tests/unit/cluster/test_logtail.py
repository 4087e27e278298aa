"""The end of a stream in bounded memory."""

from responder.cluster.logtail import LogWindow


class Chunks:
    """A stream that gives `total` bytes, each read beginning the pattern anew, then ends."""

    def __init__(self, pattern: bytes, total: int) -> None:
        self._pattern = pattern
        self._left = total
        self.given = 0

    async def read(self, n: int) -> bytes:
        chunk = (self._pattern * (n // len(self._pattern) + 1))[: min(n, self._left)]
        self._left -= len(chunk)
        self.given += len(chunk)
        return chunk


async def test_a_short_log_is_whole() -> None:
    window = LogWindow(keep=1000, allowance=5000)
    await window.fill(Chunks(b"ready\n", 12))
    assert (window.tail().text, window.tail().truncated) == ("ready\nready\n", False)


async def test_a_long_log_keeps_its_end() -> None:
    window = LogWindow(keep=6, allowance=500_000)
    await window.fill(Chunks(b"0123456789", 64 * 1024 + 8))
    assert (window.tail().text, window.tail().truncated) == ("234567", True)


async def test_an_endless_line_is_read_up_to_the_allowance_only() -> None:
    stream = Chunks(b"x", 10**12)
    window = LogWindow(keep=1000, allowance=200_000)
    await window.fill(stream)
    assert stream.given < 200_000 + 64 * 1024 + 1
    assert window.full
    assert len(window.tail().text) == 1000


async def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    window = LogWindow(keep=100, allowance=100)
    await window.fill(Chunks(b"\xff\xfe", 2))
    assert window.tail().text == "��"


async def test_a_log_that_was_given_up_on_says_so() -> None:
    window = LogWindow(keep=100, allowance=100)
    await window.fill(Chunks(b"a", 1))
    window.interrupted = True
    assert window.tail().truncated
