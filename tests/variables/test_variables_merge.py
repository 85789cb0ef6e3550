"""The rules of changing a whole list of variables, for any lists."""

from __future__ import annotations

from hypothesis import given, strategies as st

from launch_async.variables import collisions, differing, merged

VALUES = st.text(min_size=1, max_size=4)
LISTS = st.dictionaries(st.sampled_from("ABCDEFG"), VALUES, max_size=7)


@given(LISTS, LISTS)
def test_merging_sets_everything_desired_and_keeps_everything_else(current, desired):
    target = merged(current, desired, remove=False)

    assert {name: target[name] for name in desired} == desired
    assert {name: target[name] for name in current.keys() - desired.keys()} == {
        name: current[name] for name in current.keys() - desired.keys()
    }
    assert target.keys() == current.keys() | desired.keys()


@given(LISTS, LISTS)
def test_with_remove_exactly_the_desired_list_is_left(current, desired):
    assert merged(current, desired, remove=True) == desired


@given(LISTS, LISTS, st.booleans())
def test_merging_twice_changes_nothing_the_second_time(current, desired, remove):
    once = merged(current, desired, remove=remove)

    assert merged(once, desired, remove=remove) == once


@given(LISTS, LISTS)
def test_what_stays_keeps_its_place(current, desired):
    target = list(merged(current, desired, remove=False))

    assert target[: len(current)] == list(current)


@given(LISTS, LISTS, st.booleans())
def test_nothing_collides_if_nobody_else_wrote(read, desired, remove):
    assert collisions(read, read, desired, remove=remove) == ()


@given(LISTS, LISTS, st.booleans())
def test_nothing_collides_if_the_same_was_applied_meanwhile(read, desired, remove):
    now = merged(read, desired, remove=remove)

    assert collisions(read, now, desired, remove=remove) == ()


@given(LISTS, LISTS, LISTS, st.booleans())
def test_no_change_of_somebody_else_is_ever_lost_unseen(read, now, desired, remove):
    clashes = collisions(read, now, desired, remove=remove)
    target = merged(now, desired, remove=remove)

    overwritten = {name for name in differing(read, now) if target.get(name) != now.get(name)}

    assert overwritten <= set(clashes)


@given(LISTS, LISTS, LISTS, st.booleans())
def test_only_what_somebody_else_changed_can_collide(read, now, desired, remove):
    assert set(collisions(read, now, desired, remove=remove)) <= set(differing(read, now))


@given(LISTS, LISTS)
def test_two_lists_differ_by_name_exactly_where_they_differ(one, other):
    names = differing(one, other)

    assert names == tuple(sorted(names))
    assert (names == ()) is (one == other)
