"""Paginators: state machines that reach every row, for all lists and servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tap_msghistory.errors import ApiError
from tap_msghistory.reading.paginators import OffsetPaginator, PageNumberPaginator, PageSlice, Paginator

UNCAPPED = 10**9
SMALLEST_CAP = 8  # pages with fewer rows are not regarded as capped

#: Returns the rows of a page, and whether more rows follow; None: unknown.
Respond = Callable[[PageSlice], tuple[Sequence[int], bool | None]]


def read(
    pages: Paginator, page_size: int, respond: Respond, *, may_be_cut: bool = False
) -> tuple[list[PageSlice], set[int]]:
    """Read until the paginator has finished; return the pages requested, and the rows."""
    requested: list[PageSlice] = []
    seen: set[int] = set()
    while not pages.finished:
        assert len(requested) < 5_000
        asked = pages.next(page_size)
        page, has_next = respond(asked)
        pages.advance(asked, page, has_next=has_next, new=len({*page} - seen), may_be_cut=may_be_cut)
        requested.append(asked)
        seen.update(page)
    return requested, seen


class Server:
    """Lists rows in pages, by offset or by number, with caps that may change from request to request."""

    def __init__(
        self,
        pages: Paginator,
        rows: list[int],
        caps: Sequence[int] = (UNCAPPED,),
        *,
        by_cap: bool = False,  # whether the offsets of numbered pages are computed from the cap
        with_has_next: bool = False,  # whether responses indicate that more rows follow
        sizes: Sequence[int] = (0,),  # bytes of each row
        page_bytes: int = 1,
    ) -> None:
        self._by_number = isinstance(pages, PageNumberPaginator)
        self.rows, self._caps, self._by_cap, self._with_has_next = rows, caps, by_cap, with_has_next
        self._sizes, self._page_bytes = sizes, page_bytes
        self.before: dict[int, Callable[[list[int]], object]] = {}  # changes rows before a request
        self._requests = 0

    def __call__(self, asked: PageSlice) -> tuple[list[int], bool | None]:
        self.before.get(self._requests, bool)(self.rows)
        limit = min(asked.limit, self._caps[min(self._requests, len(self._caps) - 1)])
        self._requests += 1
        start = asked.start * (limit if self._by_cap else asked.limit) if self._by_number else asked.start
        page: list[int] = []
        free = self._page_bytes
        for row in self.rows[start : start + limit]:
            free -= self._sizes[row % len(self._sizes)]
            if page and free < 0:
                break  # at least one row, however large
            page.append(row)
        return page, start + len(page) < len(self.rows) if self._with_has_next else None


@st.composite
def servers(draw, kind, *, smallest_page, smallest_cap):
    """Return a paginator, a page size, and a server of up to 200 rows that may cap pages."""
    pages, page_size = kind(), draw(st.integers(smallest_page, 60))
    rows, caps = (
        [*range(draw(st.integers(0, 200)))],
        [draw(st.just(UNCAPPED) | st.integers(smallest_cap, 60))],
    )
    by_cap, with_has_next = draw(st.booleans()), draw(st.booleans())
    return pages, page_size, Server(pages, rows, caps, by_cap=by_cap, with_has_next=with_has_next)


# If no response has hasNext, a smaller cap of pages by offset may end a pass early.
UNMOVED = servers(OffsetPaginator, smallest_page=1, smallest_cap=SMALLEST_CAP) | servers(
    PageNumberPaginator, smallest_page=1, smallest_cap=1
)
# Smaller pages cannot always overlap.
OVERLAPPING = servers(OffsetPaginator, smallest_page=2, smallest_cap=2) | servers(
    PageNumberPaginator, smallest_page=5, smallest_cap=SMALLEST_CAP
)


@given(UNMOVED)
def test_rows_that_do_not_move_are_read_in_one_pass(drawn):
    pages, page_size, server = drawn
    _, seen = read(pages, page_size, server)
    assert seen == {*server.rows}
    assert (pages.positions, pages.moved, pages.repeats) == (len(server.rows), False, False)


@given(
    st.integers(0, 400),
    st.integers(SMALLEST_CAP, 60),
    st.lists(st.integers(SMALLEST_CAP, 60), min_size=1),
    st.booleans(),
)
def test_pages_by_number_reach_every_row_whatever_the_cap(rows, page_size, caps, by_cap):
    pages = PageNumberPaginator()
    _, seen = read(pages, page_size, Server(pages, [*range(rows)], caps, by_cap=by_cap))
    assert pages.moved or seen == {*range(rows)}


@given(OVERLAPPING, st.integers(0, 9), st.just(0) | st.integers(0, 200))
def test_a_deleted_row_that_hides_another_is_noticed(drawn, deleted_at, deleted):
    pages, page_size, server = drawn
    server.before[deleted_at] = lambda rows: rows.remove(deleted) if deleted in rows else None
    _, seen = read(pages, page_size, server)
    assert pages.moved or seen >= {*server.rows}


@given(UNMOVED, st.integers(0, 9))
def test_rows_appended_during_reading_are_read(drawn, appended_at):
    pages, page_size, server = drawn
    server.before[appended_at] = lambda rows: rows.append(1_000)
    _, seen = read(pages, page_size, server)
    assert seen == {*server.rows}
    assert (pages.positions, pages.moved) == (len(server.rows), False)


@pytest.mark.parametrize("kind", [OffsetPaginator, PageNumberPaginator])
@pytest.mark.parametrize("with_has_next", [True, False])
@pytest.mark.parametrize(("rows", "page_size"), [(100, 20), (9, 8)])
def test_a_row_inserted_in_front_is_noticed(kind, with_has_next, rows, page_size):
    pages = kind()
    server = Server(pages, [*range(rows)], with_has_next=with_has_next)
    server.before[2] = lambda rows: rows.insert(0, 1_000)
    _, seen = read(pages, page_size, server)
    assert seen == {*range(rows)}
    assert (pages.positions, pages.moved) == (rows + 1, True)


@pytest.mark.parametrize("kind", [OffsetPaginator, PageNumberPaginator])
def test_a_deleted_row_that_hides_none_is_noticed_too(kind):
    pages = kind()
    server = Server(pages, [*range(9)], with_has_next=True)
    server.before[1] = lambda rows: rows.remove(3)
    read(pages, 6, server)
    assert (pages.positions, pages.moved) == (8, True)


def test_a_row_appended_before_a_confirmation_is_no_movement():
    pages = PageNumberPaginator()
    server = Server(pages, [*range(23)], with_has_next=True)
    server.before[2] = lambda rows: rows.append(23)
    _, seen = read(pages, 48, server, may_be_cut=True)
    assert seen == {*range(24)}
    assert (pages.moved, pages.repeats) == (False, False)


@given(
    kind=st.sampled_from([OffsetPaginator, PageNumberPaginator]),
    with_has_next=st.booleans(),
    rows=st.integers(1, 80),
    page_size=st.integers(2, 40),
    sizes=st.lists(st.integers(10, 1_000), min_size=1, max_size=20),
    page_bytes=st.integers(300, 3_000),
)
def test_pages_cut_by_bytes_reach_every_row(*, kind, with_has_next, rows, page_size, sizes, page_bytes):
    """A page has as many rows as fit, and at least one, however large."""
    pages = kind()
    server = Server(pages, [*range(rows)], with_has_next=with_has_next, sizes=sizes, page_bytes=page_bytes)
    _, seen = read(pages, page_size, server, may_be_cut=True)
    assert pages.positions == len(seen)
    if kind is OffsetPaginator and not with_has_next:
        assert pages.moved or seen == {*range(rows)}
    else:
        assert seen == {*range(rows)}
        assert not pages.moved


#: Pages that a limit of bytes may have cut.
CUT = {"sizes": [300, 300, 300, 900], "page_bytes": 1_000}


@pytest.mark.parametrize(
    ("kind", "rows", "page_size", "options", "requests"),
    [
        (OffsetPaginator, 1_000, 100, {}, 12),
        (OffsetPaginator, 1_000, 100, {"with_has_next": True}, 12),
        (OffsetPaginator, 1_000, 100, {"caps": [50]}, 40),
        (OffsetPaginator, 1_000, 100, {"caps": [50], "with_has_next": True}, 22),
        (OffsetPaginator, 100, 1, {}, 101),
        (OffsetPaginator, 100, 2, {"caps": [1], "with_has_next": True}, 200),
        (OffsetPaginator, 30, 50, {"caps": [1, UNCAPPED], "with_has_next": True}, 3),
        (OffsetPaginator, 30, 10, CUT, 24),
        (PageNumberPaginator, 1_000, 100, {}, 13),
        (PageNumberPaginator, 1_000, 100, {"with_has_next": True}, 12),
        (PageNumberPaginator, 1_000, 100, {"caps": [50]}, 27),
        (PageNumberPaginator, 1_000, 100, {"caps": [50], "by_cap": True}, 27),
        (PageNumberPaginator, 1_000, 100, {"caps": [UNCAPPED, UNCAPPED, 30], "by_cap": True}, 40),
        (PageNumberPaginator, 100, 50, {"caps": [UNCAPPED, UNCAPPED, 30], "by_cap": True}, 5),
        (PageNumberPaginator, 100, 50, {"caps": [UNCAPPED, 30], "by_cap": True}, 5),
        (PageNumberPaginator, 100, 50, {"caps": [1]}, 101),
        (PageNumberPaginator, 100, 1, {"caps": [1], "by_cap": True, "with_has_next": True}, 102),
        (PageNumberPaginator, 30, 10, CUT, 34),
        (PageNumberPaginator, 59, 28, {"caps": [UNCAPPED, 20, 16, 9, 10], "sizes": [0]}, 8),
        (PageNumberPaginator, 0, 10, {}, 1),
        (PageNumberPaginator, 0, 10, CUT, 2),
    ],
)
def test_reading_takes_a_known_number_of_requests(kind, rows, page_size, options, requests):
    pages = kind()
    server = Server(pages, [*range(rows)], **options)
    requested, seen = read(pages, page_size, server, may_be_cut="sizes" in options)
    assert seen == {*range(rows)}
    assert not pages.moved
    assert len(requested) == requests


@pytest.mark.parametrize(("caps", "requests", "rows"), [([2], 19, 20), ([3, 2], 21, 23), ([7, 2], 21, 27)])
def test_ten_ends_with_few_rows_between_them_end_the_pass(caps, requests, rows):
    pages = OffsetPaginator()
    requested, _ = read(pages, 50, Server(pages, [*range(100)], caps))
    assert len(requested) == requests
    assert (pages.positions, pages.moved, pages.repeats) == (rows, True, False)


@pytest.mark.parametrize(("known", "is_end"), [(SMALLEST_CAP - 1, True), (SMALLEST_CAP, False)])
def test_a_short_page_with_only_known_rows_may_be_capped(known, is_end):
    pages = PageNumberPaginator()
    pages.advance(PageSlice(0, known, 0), [*range(known)], has_next=None, new=known)
    pages.advance(PageSlice(0, known + 1, 0), [*range(known)], has_next=None, new=0)
    assert pages.finished is is_end


@given(st.integers(1, 500), st.integers(1, 100))
@example(1, 2)  # the smallest overlapping page
@example(7, 4)  # the second largest size reaches furthest
def test_the_next_page_by_number_reaches_furthest(positions, limit):
    pages = PageNumberPaginator()
    pages.advance(PageSlice(0, positions, 0), [*range(positions)], has_next=None, new=positions)
    page = pages.next(limit)
    assert page.start * page.limit == page.first
    assert page.limit <= limit

    def rows_after(size, row):
        """Return the rows after the last row received on the page of `size` rows with a row."""
        return row // size * size + size - positions

    overlapping = max((rows_after(size, positions - 1) for size in range(1, limit + 1)), default=0)
    if overlapping:
        assert page.first < positions
        assert page.first + page.limit - positions == overlapping
    else:
        assert page.first == positions
        assert page.limit == max(size for size in range(1, limit + 1) if positions % size == 0)


@pytest.mark.parametrize("kind", [OffsetPaginator, PageNumberPaginator])
@given(rows=st.integers(0, 2_000))
@example(rows=0)
@example(rows=1)
def test_a_confirmation_has_the_last_row_and_the_next_position(kind, rows):
    page = kind().confirmation(rows)
    assert page.first == page.start * (page.limit if kind is PageNumberPaginator else 1)
    assert page.first <= max(rows - 1, 0)
    assert page.first + page.limit > rows
    if kind is OffsetPaginator:
        assert page.limit == 2
    else:
        smaller = range(2, page.limit)
        assert all(rows and rows % size == 0 for size in smaller)


@pytest.mark.parametrize("kind", [OffsetPaginator, PageNumberPaginator])
@given(row=st.integers(0, 500), size=st.integers(1, 100))
def test_a_page_around_a_row_contains_it(kind, row, size):
    page = kind().page_around(row, size)
    assert page.first <= row < page.first + page.limit
    assert page.limit <= size
    assert page.first == page.start * (page.limit if kind is PageNumberPaginator else 1)
    if kind is OffsetPaginator:
        assert (page.first, page.limit) == (max(row - size // 2, 0), size)
    else:
        assert page.limit > size // 2
        distances = [abs(row % size - size // 2) for size in range(size // 2 + 1, size + 1)]
        assert abs(row - page.first - page.limit // 2) == min(distances)


def test_a_confirmed_end_takes_one_small_page():
    pages = OffsetPaginator()
    pages.advance(pages.next(10), [*range(7)], has_next=None, new=7)
    confirmation = pages.next(10)
    assert (confirmation.start, confirmation.limit) == (6, 2)
    pages.advance(confirmation, [6], has_next=None, new=0)
    assert pages.finished
    assert pages.positions == 7
    assert not pages.moved
    assert not pages.repeats


def test_counted_rows_need_no_confirmation():
    pages = OffsetPaginator(7)
    pages.advance(pages.next(10), [*range(7)], has_next=None, new=7)
    assert pages.finished


def test_a_short_page_marked_as_last_needs_no_confirmation():
    pages = OffsetPaginator()
    pages.advance(pages.next(10), [*range(7)], has_next=False, new=7)
    assert pages.finished


@pytest.mark.parametrize("kind", [OffsetPaginator, PageNumberPaginator])
@pytest.mark.parametrize("with_has_next", [True, None])
def test_a_server_that_repeats_a_page_is_noticed(kind, with_has_next):
    pages = kind()
    requested, _ = read(pages, 10, lambda _: ([*range(10)], with_has_next))
    assert len(requested) == 4
    assert pages.repeats is pages.moved is True


def test_an_empty_page_before_the_end_is_an_error():
    pages = OffsetPaginator()
    pages.advance(pages.next(10), [*range(10)], has_next=True, new=10)
    with pytest.raises(ApiError) as failed:
        pages.advance(pages.next(10), [], has_next=True, new=0)
    assert str(failed.value) == "the server indicated that more messages follow, but returned an empty page"
