"""A misspelt name is an error for type checkers, and an ImportError at run time.

mypy checks this file (`files` in pyproject.toml), so an import that passes mypy is an unused `type: ignore` here.
"""

from __future__ import annotations

import pytest


def test_a_misspelt_name_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="cannot import name 'LunchClient' from 'launch_async'"):
        from launch_async import LunchClient  # type: ignore[attr-defined] # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'LunchClient' from 'launch_sync'"):
        from launch_sync import LunchClient as Other  # type: ignore[attr-defined] # noqa: F401
    with pytest.raises(ImportError, match=r"cannot import name 'Plans' from 'launch_async\.fleet'"):
        from launch_async.fleet import Plans  # type: ignore[attr-defined] # noqa: F401


def test_a_name_of_the_fleet_is_not_in_the_top_level_package() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Plan' from 'launch_async'"):
        from launch_async import Plan  # type: ignore[attr-defined] # noqa: F401
