"""Paginators: state machines that reach every row, for all lists and servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_msghistory.reading.paginators import OffsetPaginator, PageNumberPaginator


def serve(rows, asked, cap, *, by_cap):
    limit = min(asked.limit, cap)
    start = asked.start * (limit if by_cap else asked.limit)
    return rows[start : start + limit]


@given(st.integers(0, 400), st.integers(8, 60), st.lists(st.integers(8, 60), min_size=1), st.booleans())
def test_pages_by_number_reach_every_row_whatever_the_cap(count, page_size, caps, by_cap):
    pages, rows = PageNumberPaginator(), [*range(count)]
    seen: set[int] = set()
    for request in range(5_000):
        if pages.finished:
            break
        asked = pages.next(page_size)
        page = serve(rows, asked, caps[min(request, len(caps) - 1)], by_cap=by_cap)
        pages.advance(asked, page, has_next=None, new=len({*page} - seen))
        seen.update(page)
    assert pages.finished
    assert pages.moved or seen == {*rows}


@given(
    st.integers(0, 400),
    st.integers(1, 60),
    st.integers(1, 60),
    st.sampled_from([None, True]),
    st.integers(0, 9),
)
def test_pages_by_offset_reach_every_row_whatever_the_cap(count, page_size, cap, says, deleted_at):
    """A row in front that is deleted while pages are read is noticed if it hides another."""
    pages, rows = OffsetPaginator(), [*range(count)]
    seen: set[int] = set()
    for request in range(5_000):
        if pages.finished:
            break
        if request == deleted_at and rows:
            del rows[0]
        asked = pages.next(page_size)
        page = rows[asked.start : asked.start + min(asked.limit, cap)]
        more = asked.start + len(page) < len(rows)
        pages.advance(asked, page, has_next=more if says else None, new=len({*page} - seen))
        seen.update(page)
    assert pages.finished
    assert pages.moved or min(page_size, cap) == 1 or seen >= {*rows}


@given(
    st.integers(1, 80),
    st.integers(2, 40),
    st.integers(300, 3_000),
    st.lists(st.integers(10, 1_000), min_size=1, max_size=20),
    st.booleans(),
)
def test_pages_cut_by_bytes_reach_every_row(count, page_size, page_bytes, sizes, by_number):
    """A page has as many rows as fit, and at least one, however large."""
    pages = PageNumberPaginator() if by_number else OffsetPaginator()
    rows = [*range(count)]
    seen: set[int] = set()
    for _ in range(5_000):
        if pages.finished:
            break
        asked = pages.next(page_size)
        start = asked.start * asked.limit if by_number else asked.start
        page: list[int] = []
        free = page_bytes
        for row in rows[start : start + asked.limit]:
            free -= sizes[row % len(sizes)]
            if page and free < 0:
                break
            page.append(row)
        pages.advance(asked, page, has_next=None, new=len({*page} - seen), may_be_cut=True)
        seen.update(page)
    assert pages.finished
    assert pages.moved or seen == {*rows}


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


@pytest.mark.parametrize("paginator", [OffsetPaginator, PageNumberPaginator])
@given(row=st.integers(0, 500), size=st.integers(1, 100))
def test_a_page_around_a_row_contains_it(paginator, row, size):
    page = paginator().page_around(row, size)
    assert page.first <= row < page.first + page.limit
    assert page.limit <= size


def test_counted_rows_need_no_confirmation():
    pages = OffsetPaginator(7)
    pages.advance(pages.next(10), [*range(7)], has_next=None, new=7)
    assert pages.finished
