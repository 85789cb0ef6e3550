"""A misspelt name is an error when it is imported, and before that for type checkers.

mypy reads this file (`files` in pyproject.toml) and reports an ignore that ignores nothing.
"""

from __future__ import annotations

import pytest


def test_a_name_that_a_package_does_not_offer_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="cannot import name 'LunchClient' from 'launch_async'"):
        from launch_async import LunchClient  # type: ignore[attr-defined] # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'LunchClient' from 'launch_sync'"):
        from launch_sync import LunchClient as Other  # type: ignore[attr-defined] # noqa: F401
    with pytest.raises(ImportError, match=r"cannot import name 'Plans' from 'launch_async\.fleet'"):
        from launch_async.fleet import Plans  # type: ignore[attr-defined] # noqa: F401


def test_a_name_of_the_fleet_is_not_at_the_top() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Plan' from 'launch_async'"):
        from launch_async import Plan  # type: ignore[attr-defined] # noqa: F401
