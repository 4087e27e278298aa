"""Which rows are at hand and wanted, and where the cursor goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from console.listing import MOST_ROWS, WINDOW, Listing, Standing, Window, is_lost, settled
from responder.domain.incident import Incident
from responder.domain.views import IncidentPage

AT = datetime(2026, 1, 1, tzinfo=UTC)


def name(number):
    return f"inc-{number:012}"


def incident(number, summary=""):
    return Incident(id=name(number), key=str(number), root=None, summary=summary, opened_at=AT, updated_at=AT)


def page(*numbers, offset=0, total=0, summary=""):
    return IncidentPage(
        incidents=tuple(incident(number, summary) for number in numbers),
        offset=offset,
        total=total or offset + len(numbers),
    )


def stretch(first, count, *, offset, total):
    return page(*range(first, first - count, -1), offset=offset, total=total)


def places(listing):
    return {place: int(row.key) for place, row in sorted(listing.rows.items())}


def standing(cursor, *, top=0, height=5, on=None):
    return Standing(cursor=cursor, incident_id="" if on is None else name(on), top=top, height=height)


def test_a_page_is_put_where_the_server_says():
    listing = Listing().merged(page(9, 8, total=50)).merged(page(3, 2, offset=20, total=50))
    assert places(listing) == {0: 9, 1: 8, 20: 3, 21: 2}
    assert listing.total == 50
    assert listing.fresh == {0, 1, 20, 21}


def test_a_row_is_replaced_by_its_newest_form():
    listing = Listing().merged(page(9, 8)).merged(page(9, 8, summary="new"))
    assert [row.summary for row in listing.rows.values()] == ["new", "new"]


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param(page(99, 9, total=51), id="the number has changed"),
        pytest.param(page(99, 8, total=50), id="another stands there"),
        pytest.param(page(3, 7, total=50), id="one has come from elsewhere"),
    ],
)
def test_rows_of_another_moment_stay_and_are_not_fresh(moved):
    listing = Listing().merged(page(9, 8, total=50)).merged(page(4, 3, 2, offset=20, total=50)).merged(moved)
    assert listing.fresh == {0, 1}
    assert listing.rows[20].id == name(4)


def test_no_incident_stands_in_two_places():
    listing = Listing().merged(page(9, 8, 7, 6, total=4)).merged(page(10, 9, 8, total=5))
    assert places(listing) == {0: 10, 1: 9, 2: 8, 3: 6}


def test_what_lies_behind_the_end_is_gone():
    listing = Listing().merged(page(9, 8, 7, 6)).merged(page(9, 7, total=2))
    assert places(listing) == {0: 9, 1: 7}


def test_nothing_found_is_an_empty_list():
    listing = Listing().merged(page(9)).merged(IncidentPage(incidents=()))
    assert (listing.total, listing.rows, listing.is_read) == (0, {}, True)


def test_a_page_behind_an_end_that_has_come_nearer_leaves_the_total():
    listing = Listing().merged(page(9, total=900)).merged(IncidentPage(incidents=(), offset=500, total=3))
    assert listing.total == 3


def test_rows_far_away_are_forgotten():
    listing = Listing().merged(page(9, total=100_000)).merged(page(2, 1, offset=MOST_ROWS, total=100_000))
    assert 0 not in listing.rows


@pytest.mark.parametrize(
    ("listing", "at", "window"),
    [
        pytest.param(Listing(), standing(0), Window(offset=0, limit=WINDOW), id="nothing is read"),
        pytest.param(Listing(is_read=True), standing(0), None, id="nothing matches"),
        pytest.param(
            Listing().merged(stretch(900, 100, offset=0, total=900)), standing(0, height=20), None, id="all is here"
        ),
        pytest.param(
            Listing().merged(stretch(900, 100, offset=0, total=900)),
            standing(70, top=60, height=20),
            None,
            id="one screen below is here",
        ),
        pytest.param(
            Listing().merged(stretch(900, 100, offset=0, total=900)),
            standing(70, top=61, height=20),
            Window(offset=90, limit=100),
            id="the next screen is missing",
        ),
        pytest.param(
            Listing().merged(stretch(500, 100, offset=400, total=900)),
            standing(425, top=419, height=20),
            Window(offset=310, limit=100),
            id="the screen before is missing",
        ),
        pytest.param(
            Listing().merged(stretch(900, 100, offset=0, total=100_000)),
            standing(99_999, top=99_980, height=20),
            Window(offset=99_900, limit=100),
            id="the end",
        ),
        pytest.param(
            Listing().merged(stretch(900, 100, offset=0, total=900)).aged(),
            standing(0, top=30, height=20),
            Window(offset=20, limit=40),
            id="what is visible may have changed",
        ),
        pytest.param(
            Listing().merged(stretch(900, 100, offset=0, total=900)),
            standing(0, height=60),
            Window(offset=90, limit=180),
            id="a high screen needs more",
        ),
        pytest.param(
            Listing().merged(stretch(9000, 500, offset=0, total=9000)),
            standing(0, height=490),
            None,
            id="never more than a page can hold",
        ),
    ],
)
def test_what_is_wanted(listing, at, window):
    assert listing.wanted(at) == window


def test_scrolling_through_everything_ends_and_every_wanted_window_helps():
    listing, total = Listing(), 1234
    for top in range(0, total, 7):
        at = standing(top, top=top, height=30)
        asked = []
        while (window := listing.wanted(at)) is not None:
            assert window not in asked
            asked.append(window)
            count = min(window.limit, total - window.offset)
            listing = listing.merged(stretch(5000 - window.offset, count, offset=window.offset, total=total))
        assert all(place in listing.fresh for place in range(top, min(top + 30, total)))
        assert len(listing.rows) <= MOST_ROWS + WINDOW


def test_the_visible_rows_are_read_again_with_some_around_them():
    listing = Listing(total=1000, is_read=True)
    assert listing.again(standing(500, top=490, height=20)) == Window(offset=480, limit=40)
    assert listing.again(standing(0, height=20)) == Window(offset=0, limit=40)


def test_of_another_history_only_what_is_visible_stays():
    listing = Listing().merged(stretch(900, 100, offset=0, total=900)).only_visible(standing(12, top=10, height=3))
    assert places(listing) == {10: 890, 11: 889, 12: 888}
    assert listing.fresh == frozenset()


@pytest.mark.parametrize(
    ("at", "pages", "cursor", "top"),
    [
        pytest.param(standing(0, on=9), [page(10, 9, 8, 7, 6, 5, 4)], 0, 0, id="at the top one stays at the top"),
        pytest.param(
            standing(2, on=7), [page(10, 9, 8, 7, 6, 5, 4)], 3, 1, id="a new one moves the rows and not the eye"
        ),
        pytest.param(standing(2, on=7, height=20), [page(10, 9, 8, 7, 6, 5, 4)], 3, 0, id="all of it fits"),
        pytest.param(
            standing(3, top=2, on=6), [page(8, 7, 6, 5, 4, 3, 2)], 2, 1, id="one above is gone, the eye stays"
        ),
        pytest.param(standing(3, on=7), [page(9, 8, 6, 5)], 3, 0, id="it is gone itself: the next stands there"),
        pytest.param(standing(3, on=5), [page(9, 8)], 1, 0, id="all below is gone"),
        pytest.param(standing(3, on=5), [IncidentPage(incidents=())], 0, 0, id="everything is gone"),
        pytest.param(
            standing(52, top=50, on=7),
            [page(9, 8, offset=50, total=900), page(7, 6, offset=700, total=900)],
            700,
            698,
            id="it stands far away now",
        ),
        pytest.param(standing(500, top=498), [page(9, 8, total=900)], 500, 498, id="its row was never read"),
    ],
)
def test_where_the_cursor_goes(at, pages, cursor, top):
    listing = Listing()
    for each in pages:
        listing = listing.merged(each)
    after = settled(at, listing)
    assert (after.cursor, after.top) == (cursor, top)


def test_following_goes_to_the_newest():
    listing = Listing().merged(page(10, 9, 8, 7, 6, 5, 4))
    after = settled(standing(3, top=2, on=7), listing, follows=True)
    assert (after.cursor, after.top, after.incident_id) == (0, 0, name(10))


@pytest.mark.parametrize(
    ("at", "lost"),
    [
        (standing(3, on=77), True),
        (standing(3, on=8), False),
        (standing(0, on=77), False),
        (standing(3), False),
    ],
)
def test_an_incident_is_lost_where_no_page_names_it(at, lost):
    assert is_lost(at, Listing().merged(page(9, 8, 7, total=900))) is lost


def test_a_row_of_another_moment_does_not_tell_where_an_incident_stands():
    assert Listing().merged(page(9, 8)).aged().place_of(name(8)) is None
