"""A listing gives every item once, loses no item while nothing changes, and always ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import pytest
from hypothesis import given, strategies as st

from launch_async import InvalidArgumentError, Page, Pager, Project

Fetch = Callable[[int, int], Awaitable[Page[Project]]]
UIDS = st.lists(st.integers(0, 400).map(str), unique=True, max_size=60)


@attrs.define
class Listing:
    """A listing of a service that may change between two pages."""

    uids: list[str]
    counted: bool = True
    obeys_limit: bool = True
    obeys_skip: bool = True
    changes: list[Callable[[list[str]], None]] = attrs.field(factory=list)
    asked: list[tuple[int, int]] = attrs.field(factory=list)

    async def fetch(self, limit: int, skip: int) -> Page[Project]:
        if self.asked and self.changes:
            self.changes.pop(0)(self.uids)
        self.asked.append((limit, skip))
        first = skip if self.obeys_skip else 0
        chosen = self.uids[first : first + limit] if self.obeys_limit else self.uids[first:]
        return Page(tuple(Project(uid=uid) for uid in chosen), skip, len(self.uids) if self.counted else None)


def uids_of(pager: Pager[Project]) -> list[str]:
    async def read() -> list[str]:
        return [project.uid for project in await asyncio.wait_for(pager.to_list(), 10)]

    return asyncio.run(read())


def endless(_: int, __: int) -> Awaitable[Page[Project]]:
    raise AssertionError


@given(uids=UIDS, limit=st.integers(1, 100), counted=st.booleans(), obeys_limit=st.booleans())
def test_an_unchanged_listing_is_read_completely_and_in_order(
    uids: list[str], limit: int, counted: bool, obeys_limit: bool
) -> None:
    listing = Listing(list(uids), counted=counted, obeys_limit=obeys_limit)

    assert uids_of(Pager(listing.fetch, limit=limit)) == uids


@given(uids=UIDS, limit=st.integers(1, 20), skip=st.integers(0, 30), counted=st.booleans())
def test_exactly_the_skipped_items_are_omitted(uids: list[str], limit: int, skip: int, counted: bool) -> None:
    listing = Listing(list(uids), counted=counted)

    assert uids_of(Pager(listing.fetch, limit=limit, skip=skip)) == uids[skip:]


def _appear(uids: list[str]) -> None:
    uids.insert(0, f"new-{len(uids)}")


def _appear_at_the_end(uids: list[str]) -> None:
    uids.append(f"late-{len(uids)}")


def _vanish(uids: list[str]) -> None:
    del uids[:3]


def _vanish_in_the_middle(uids: list[str]) -> None:
    del uids[len(uids) // 2 : len(uids) // 2 + 2]


def _turn(uids: list[str]) -> None:
    uids.reverse()


@given(
    uids=UIDS,
    limit=st.integers(1, 20),
    counted=st.booleans(),
    obeys_limit=st.booleans(),
    obeys_skip=st.booleans(),
    changes=st.lists(
        st.sampled_from([_appear, _appear_at_the_end, _vanish, _vanish_in_the_middle, _turn]), max_size=12
    ),
)
def test_a_changing_listing_gives_no_item_twice_and_ends(
    uids: list[str],
    limit: int,
    counted: bool,
    obeys_limit: bool,
    obeys_skip: bool,
    changes: list[Callable[[list[str]], None]],
) -> None:
    listing = Listing(
        list(uids), counted=counted, obeys_limit=obeys_limit, obeys_skip=obeys_skip, changes=list(changes)
    )

    found = uids_of(Pager(listing.fetch, limit=limit))

    assert len(found) == len(set(found))
    assert all(asked_limit == limit for asked_limit, _ in listing.asked)


@given(
    uids=UIDS,
    limit=st.integers(1, 20),
    changes=st.lists(st.sampled_from([_vanish, _vanish_in_the_middle]), max_size=6),
)
def test_the_remaining_items_of_a_shrinking_listing_are_all_given(
    uids: list[str], limit: int, changes: list[Callable[[list[str]], None]]
) -> None:
    listing = Listing(list(uids), changes=list(changes))

    found = uids_of(Pager(listing.fetch, limit=limit))

    assert set(listing.uids) <= set(found)


def test_a_listing_that_loses_its_first_page_is_read_to_its_end() -> None:
    def lose_the_first_page(uids: list[str]) -> None:
        del uids[:100]

    listing = Listing([str(number) for number in range(200)], changes=[lose_the_first_page])

    assert len(uids_of(Pager(listing.fetch))) == 200


def test_a_listing_whose_count_always_grows_ends() -> None:
    asked = []

    async def fetch(limit: int, skip: int) -> Page[Project]:
        asked.append(skip)
        return Page((Project(uid="same"),), skip, skip + 1000)

    assert uids_of(Pager(fetch)) == ["same"]
    assert len(asked) == 101


def test_a_listing_whose_count_alternates_ends() -> None:
    asked = []

    async def fetch(limit: int, skip: int) -> Page[Project]:
        asked.append(skip)
        return Page(tuple(Project(uid=str(n)) for n in range(skip, skip + limit)), skip, 1000 - 100 * (len(asked) % 2))

    assert len(uids_of(Pager(fetch))) >= 100


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_a_limit_outside_1_to_100_is_refused(limit: int) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^limit: must be from 1 to 100, not "):
        Pager(endless, limit=limit)


def test_a_negative_skip_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"^skip: must be 0 or more, not -1"):
        Pager(endless, skip=-1)


@pytest.mark.parametrize(
    "bound", [{"limit": True}, {"limit": 5.0}, {"limit": "5"}, {"skip": True}, {"skip": None}], ids=str
)
def test_a_bound_that_is_no_whole_number_is_refused(bound: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="must be a whole number, not ") as caught:
        Pager(endless, **bound)

    assert caught.value.parameter in bound


async def test_a_single_page_can_be_read() -> None:
    listing = Listing(["a", "b", "c", "d"])

    page = await Pager(listing.fetch, limit=2, skip=1).page()

    assert [project.uid for project in page] == ["b", "c"]
    assert (page.skip, page.total) == (1, 4)


async def test_pages_omit_the_items_of_earlier_pages() -> None:
    listing = Listing(["a", "b", "c", "d"], changes=[_appear])

    pages = [[project.uid for project in page] async for page in Pager(listing.fetch, limit=2).pages()]

    assert pages == [["a", "b"], ["c"], ["d"]]


@pytest.mark.parametrize("uids", [["a", "b"], []])
async def test_the_first_item_costs_one_small_request(uids: list[str]) -> None:
    listing = Listing(uids)

    first = await Pager(listing.fetch).first()

    assert (first and first.uid) == (uids[0] if uids else None)
    assert listing.asked == [(1, 0)]


async def test_the_total_costs_one_small_request() -> None:
    listing = Listing([str(number) for number in range(7)])

    assert await Pager(listing.fetch, skip=3).total() == 7
    assert listing.asked == [(1, 0)]


async def test_the_total_without_a_count_is_the_number_of_items() -> None:
    listing = Listing([str(number) for number in range(250)], counted=False)

    assert await Pager(listing.fetch).total() == 250


async def test_an_awaited_pager_is_the_list() -> None:
    listing = Listing([str(number) for number in range(120)])

    projects = await Pager(listing.fetch)

    assert [project.uid for project in projects] == listing.uids
    assert isinstance(projects, list)


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (
            len,
            r"A Pager has no len\(\), because it reads items later. Use len\(await pager\) or await pager\.total\(\)",
        ),
        (bool, r"A Pager has no truth value.* Use await pager\.first\(\) is None"),
        (list, r"A Pager is not a list. Use await pager, or await pager\.first\(\) for the first item"),
        (lambda pager: pager[0], r"A Pager is not a list"),
        (lambda pager: pager[:3], r"A Pager is not a list"),
        (lambda pager: "uid" in pager, r"A Pager is not a list"),
    ],
)
def test_using_a_pager_as_a_list_is_an_error_that_names_the_call(use: Callable[[Any], object], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        use(Pager(endless))


async def test_a_notebook_shows_the_first_items_that_were_read_and_sends_nothing() -> None:
    listing = Listing([str(number) for number in range(7)])
    pager = Pager(listing.fetch, limit=2)

    assert "Write <code>await</code> before it" in pager._repr_html_()
    assert listing.asked == []
    await pager
    assert "1 to 2 of 7" in pager._repr_html_()
    assert listing.asked == [(2, 0), (2, 2), (2, 4), (2, 6)]


async def test_requests_are_sent_when_needed_and_each_iteration_reads_again() -> None:
    listing = Listing(["a"])
    pager = Pager(listing.fetch)

    assert listing.asked == []
    assert [[project.uid async for project in pager] for _ in range(2)] == [["a"], ["a"]]
    assert repr(pager) == "Pager(limit=100, skip=0)"
