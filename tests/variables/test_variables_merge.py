"""The rules of changing a whole list of variables, for any lists."""

from __future__ import annotations

from hypothesis import given, strategies as st

from launch_async.variables import collisions, differing, merged

VALUES = st.text(min_size=1, max_size=4)
LISTS = st.dictionaries(st.sampled_from("ABCDEFG"), VALUES, max_size=7)


@given(LISTS, LISTS)
def test_merging_sets_the_desired_variables_and_keeps_the_others(current, desired):
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
def test_unchanged_variables_keep_their_order(current, desired):
    target = list(merged(current, desired, remove=False))

    assert target[: len(current)] == list(current)


@given(LISTS, LISTS, st.booleans())
def test_nothing_collides_without_another_writer(read, desired, remove):
    assert collisions(read, read, desired, remove=remove) == ()


@given(LISTS, LISTS, st.booleans())
def test_nothing_collides_if_another_writer_applied_the_same(read, desired, remove):
    now = merged(read, desired, remove=remove)

    assert collisions(read, now, desired, remove=remove) == ()


@given(LISTS, LISTS, LISTS, st.booleans())
def test_every_change_of_another_writer_is_kept_or_reported(read, now, desired, remove):
    clashes = collisions(read, now, desired, remove=remove)
    target = merged(now, desired, remove=remove)

    overwritten = {name for name in differing(read, now) if target.get(name) != now.get(name)}

    assert overwritten <= set(clashes)


@given(LISTS, LISTS, LISTS, st.booleans())
def test_only_changes_of_another_writer_can_collide(read, now, desired, remove):
    assert set(collisions(read, now, desired, remove=remove)) <= set(differing(read, now))


@given(LISTS, LISTS)
def test_a_difference_names_exactly_the_variables_that_differ(one, other):
    names = differing(one, other)

    assert names == tuple(sorted(names))
    assert (names == ()) is (one == other)
