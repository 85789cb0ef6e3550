"""Requests: transport, pipeline, retries and deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.http.retry import RetryPolicy as RetryPolicy
    from launch_async.http.transport import Request as Request, Response as Response, Transport as Transport
else:
    __getattr__, __dir__ = lazy(__name__)
