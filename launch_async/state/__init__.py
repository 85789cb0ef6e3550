"""Declared state: compare the projects and environments of an organization with a document, and apply the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.state.declarations import (
        DeclaredEnvironment as DeclaredEnvironment,
        DeclaredGroup as DeclaredGroup,
        DeclaredPasswordProtection as DeclaredPasswordProtection,
        DeclaredProject as DeclaredProject,
        DeclaredRepository as DeclaredRepository,
        DeclaredSettings as DeclaredSettings,
        Origin as Origin,
    )
    from launch_async.state.declared import DeclaredState as DeclaredState
    from launch_async.state.document import Reference as Reference, State as State
    from launch_async.state.plan import (
        ChangeKind as ChangeKind,
        StateChange as StateChange,
        StatePlan as StatePlan,
    )
    from launch_async.state.run.applying import RedeployWhen as RedeployWhen
    from launch_async.state.steps import Step as Step
    from launch_async.state.values import (
        DELETE as DELETE,
        Delete as Delete,
        LiteralValue as LiteralValue,
        VariableSource as VariableSource,
    )
else:
    __getattr__, __dir__ = lazy(__name__)
