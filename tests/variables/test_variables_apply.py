"""`launch.variables` against an emulator: compare, apply, and two writers at the same time."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest

from launch_async import ConcurrentChangeError, InvalidArgumentError, LaunchError, NotFoundError, VariablesDiff
from launch_async.variables import VariableValues

ALL = {"API_URL": "https://api.example.com", "LIMIT": "7", "SECRET": "s3cr3t-value"}


async def test_variables_are_read_by_name(client, uids):
    values = await client.variables.read(*uids)

    assert values == ALL
    assert (len(values), list(values), values["LIMIT"]) == (3, ["API_URL", "LIMIT", "SECRET"], "7")


async def test_a_difference_names_the_planned_changes(client, uids):
    diff = await client.variables.diff(*uids, {"LIMIT": "8", "SECRET": "s3cr3t-value", "NEW": "n"})

    assert (diff.added, diff.changed, diff.removed) == (("NEW",), ("LIMIT",), ())
    assert diff.unchanged == ("API_URL", "SECRET")
    assert diff.has_changes


async def test_variables_are_removed_only_with_remove(client, uids):
    diff = await client.variables.diff(*uids, {"LIMIT": "7"}, remove=True)

    assert (diff.added, diff.changed, diff.unchanged) == ((), (), ("LIMIT",))
    assert diff.removed == ("API_URL", "SECRET")


async def test_comparing_writes_nothing(client, uids, emulator):
    await client.variables.diff(*uids, {"NEW": "n"})

    assert emulator.ledger.count("updateEnvironment") == 0


async def test_applying_changes_the_desired_variables_and_keeps_the_others(client, uids):
    environment = await client.variables.apply(await client.variables.diff(*uids, {"LIMIT": "8", "NEW": "n"}))

    assert {one.key: one.value for one in environment.environment_variables} == {**ALL, "LIMIT": "8", "NEW": "n"}
    assert await client.variables.read(*uids) == {**ALL, "LIMIT": "8", "NEW": "n"}


async def test_applying_with_remove_leaves_exactly_the_desired_list(client, uids):
    await client.variables.apply(await client.variables.diff(*uids, {"ONLY": "one"}, remove=True))

    assert await client.variables.read(*uids) == {"ONLY": "one"}


async def test_everything_can_be_removed(client, uids):
    await client.variables.apply(await client.variables.diff(*uids, {}, remove=True))

    assert await client.variables.read(*uids) == {}


async def test_applying_nothing_new_writes_nothing(client, uids, emulator):
    diff = await client.variables.diff(*uids, {"LIMIT": "7"})

    await client.variables.apply(diff)

    assert not diff.has_changes
    assert emulator.ledger.count("updateEnvironment") == 0


@pytest.mark.parametrize("remove", [False, True])
async def test_applying_twice_writes_once(client, uids, emulator, remove):
    diff = await client.variables.diff(*uids, {"NEW": "n"}, remove=remove)

    await client.variables.apply(diff)
    await client.variables.apply(diff)

    assert emulator.ledger.count("updateEnvironment") == 1


async def test_only_the_variables_are_written(client, uids):
    before = await client.environments.get(*uids)

    after = await client.variables.apply(await client.variables.diff(*uids, {"NEW": "n"}))

    assert (after.name, after.framework_preset) == (before.name, before.framework_preset)


@pytest.mark.parametrize(
    ("theirs", "keys"),
    [
        ({**ALL, "LIMIT": "9"}, ("LIMIT",)),
        ({**ALL, "NEW": "theirs"}, ("NEW",)),
        ({"API_URL": ALL["API_URL"]}, ("LIMIT", "SECRET")),
    ],
)
async def test_a_change_of_the_same_variables_is_reported_and_not_overwritten(client, uids, emulator, theirs, keys):
    diff = await client.variables.diff(*uids, {"LIMIT": "8", "NEW": "ours", "SECRET": "s3cr3t-value"})
    await client.environments.update(*uids, environment_variables=theirs)

    with pytest.raises(ConcurrentChangeError) as failure:
        await client.variables.apply(diff)

    assert failure.value.keys == keys
    assert await client.variables.read(*uids) == theirs
    assert emulator.ledger.count("updateEnvironment") == 1


async def test_with_remove_a_variable_of_another_writer_is_reported_and_not_removed(client, uids):
    diff = await client.variables.diff(*uids, {"LIMIT": "7"}, remove=True)
    await client.environments.update(*uids, environment_variables={**ALL, "THEIRS": "t"})

    with pytest.raises(ConcurrentChangeError) as failure:
        await client.variables.apply(diff)

    assert failure.value.keys == ("THEIRS",)


async def test_a_change_of_other_variables_is_kept_and_logged(client, uids, caplog):
    diff = await client.variables.diff(*uids, {"LIMIT": "8"})
    await client.environments.update(*uids, environment_variables={**ALL, "THEIRS": "their-value"})

    with caplog.at_level(logging.WARNING, "launch_async.variables"):
        await client.variables.apply(diff)

    assert await client.variables.read(*uids) == {**ALL, "LIMIT": "8", "THEIRS": "their-value"}
    assert "THEIRS" in caplog.text
    assert "their-value" not in caplog.text


async def test_the_same_change_by_another_writer_is_no_conflict(client, uids):
    diff = await client.variables.diff(*uids, {"LIMIT": "8"})
    await client.environments.update(*uids, environment_variables={**ALL, "LIMIT": "8"})

    environment = await client.variables.apply(diff)

    assert {one.key: one.value for one in environment.environment_variables} == {**ALL, "LIMIT": "8"}


async def test_a_simultaneous_write_is_found_by_reading_back(client, uids, emulator):
    diff = await client.variables.diff(*uids, {"LIMIT": "8"})
    # The emulator answers the write without storing it, as if another writer had written right after.
    body = json.dumps({"environment": {"uid": uids[1]}})
    emulator.faults.add("status_before", operation="updateEnvironment", status=200, body=body)

    with pytest.raises(ConcurrentChangeError, match="read back other values of") as failure:
        await client.variables.apply(diff)

    assert failure.value.keys == ("LIMIT",)


async def test_a_write_whose_answer_cannot_be_read_is_read_back(client, uids, emulator, caplog):
    diff = await client.variables.diff(*uids, {"LIMIT": "8"})
    emulator.faults.add("status_after", operation="updateEnvironment", status=200, body="{", times=1)

    with caplog.at_level(logging.WARNING, "launch_async.variables"):
        environment = await client.variables.apply(diff)

    assert {one.key: one.value for one in environment.environment_variables} == {**ALL, "LIMIT": "8"}
    assert emulator.ledger.count("updateEnvironment") == 1
    assert "The response to a write of variables was lost" in caplog.text


async def test_a_write_that_is_absent_when_read_back_stays_unknown(client, uids, emulator):
    diff = await client.variables.diff(*uids, {"LIMIT": "8"})
    emulator.faults.add("status_before", operation="updateEnvironment", status=200, body="{", times=1)

    with pytest.raises(LaunchError) as failure:
        await client.variables.apply(diff)

    assert failure.value.ambiguous
    assert await client.variables.read(*uids) == ALL


async def test_a_list_that_breaks_a_limit_is_refused_before_a_request(client, uids, emulator):
    emulator.ledger.clear()

    with pytest.raises(InvalidArgumentError, match="128 variables, not 129"):
        await client.variables.diff(*uids, {f"NAME_{number}": "x" for number in range(129)})
    with pytest.raises(InvalidArgumentError, match="14 KB"):
        await client.variables.diff(*uids, {"LONG": "x" * 15_000})
    with pytest.raises(InvalidArgumentError, match="'EMPTY' is empty"):
        await client.variables.diff(*uids, {"EMPTY": ""})

    assert emulator.ledger.requests == []


async def test_a_merged_list_that_breaks_a_limit_is_refused_before_it_is_written(client, uids, emulator):
    with pytest.raises(InvalidArgumentError, match="128 variables, not 130"):
        await client.variables.diff(*uids, {f"NAME_{number}": "x" for number in range(127)})

    assert emulator.ledger.count("updateEnvironment") == 0


async def test_a_list_that_another_writer_made_too_long_is_not_written(client, uids, emulator):
    diff = await client.variables.diff(*uids, {"NEW": "n"})
    await client.environments.update(
        *uids, environment_variables={**ALL, **{f"NAME_{number}": "x" for number in range(125)}}
    )

    with pytest.raises(InvalidArgumentError, match="128 variables, not 129"):
        await client.variables.apply(diff)

    assert emulator.ledger.count("updateEnvironment") == 1


async def test_an_absent_environment_is_not_found(client, uids):
    with pytest.raises(NotFoundError):
        await client.variables.diff(uids[0], "0" * 24, {"A": "a"})


@pytest.mark.parametrize("desired", [7, [("A", "a")], b"file"])
async def test_desired_variables_are_a_mapping_or_a_file(client, uids, desired):
    with pytest.raises(InvalidArgumentError, match="must be a mapping or the path of a dotenv file"):
        await client.variables.diff(*uids, desired)


async def test_no_value_is_ever_shown(client, uids):
    diff = await client.variables.diff(*uids, {"SECRET": "another-s3cr3t", "NEW": "n3w-s3cr3t"})
    values = await client.variables.read(*uids)

    shown = f"{diff} {diff!r} {json.dumps(diff.to_dict())} {values} {values!r}"

    assert "s3cr3t" not in shown
    assert "SECRET" in shown


async def test_no_error_shows_a_value(client, uids):
    diff = await client.variables.diff(*uids, {"SECRET": "another-s3cr3t"})
    await client.environments.update(*uids, environment_variables={"SECRET": "their-s3cr3t"})

    with pytest.raises(ConcurrentChangeError) as failure:
        await client.variables.apply(diff)

    assert "s3cr3t" not in repr(failure.value) + str(failure.value)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.deepcopy])
async def test_values_are_not_pickled(client, uids, copied):
    diff = await client.variables.diff(*uids, {"NEW": "n"})

    with pytest.raises(TypeError, match="pickled"):
        copied(diff)
    with pytest.raises(TypeError, match="pickled"):
        copied(VariableValues({"A": "a"}))


async def test_equal_fingerprints_mean_equal_variables(client, uids):
    first, second = [await client.variables.diff(*uids, {"NEW": text}) for text in "ab"]
    await client.variables.apply(first)
    third = await client.variables.diff(*uids, {"NEW": "b"})

    assert first.fingerprint == second.fingerprint
    assert third.fingerprint != first.fingerprint


async def test_a_difference_prints_as_a_list_of_names(client, uids):
    diff = await client.variables.diff(*uids, {"LIMIT": "8", "NEW": "n"}, remove=True)

    assert isinstance(diff, VariablesDiff)
    assert str(diff).splitlines() == [
        f"Environment {uids[1]}: 1 to add, 1 to change, 2 to remove",
        "  - API_URL",
        "  ~ LIMIT",
        "  + NEW",
        "  - SECRET",
    ]
