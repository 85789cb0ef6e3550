"""Requests: transport, pipeline, retries and deadlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_async._lazy import lazy

if TYPE_CHECKING:
    from launch_async.http.aiohttp_transport import AiohttpTransport as AiohttpTransport
    from launch_async.http.base import (
        BodyStream as BodyStream,
        Middleware as Middleware,
        Request as Request,
        Response as Response,
        ResponseLike as ResponseLike,
        Send as Send,
        Transport as Transport,
    )
    from launch_async.http.bodies.file_body import FileBody as FileBody
    from launch_async.http.credentials import Credentials as Credentials
    from launch_async.http.fake_transport import (
        FakeAnswer as FakeAnswer,
        FakeHandler as FakeHandler,
        FakeTransport as FakeTransport,
    )
    from launch_async.http.received_response import ReceivedResponse as ReceivedResponse
    from launch_async.http.recording import record_responses as record_responses
    from launch_async.http.retry import RetryPolicy as RetryPolicy
else:
    __getattr__, __dir__ = lazy(__name__)
