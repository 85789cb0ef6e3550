"""Trace the SDK with OpenTelemetry: one span for each call, with its waits and retries as events.

The program starts an emulator, and shows the spans that an in-memory exporter has collected. It needs
opentelemetry-sdk.
"""

from __future__ import annotations

import asyncio

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from launch_async import (
    Authtoken,
    BudgetWait,
    Hooks,
    LaunchClient,
    NotFoundError,
    RequestFinished,
    RequestRetried,
    RequestStarted,
    RetryPolicy,
)
from launch_async.emulator import LaunchEmulator


class Tracing(Hooks):
    """Starts a span with each call, and ends the span with the call. The spans contain no secrets."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._spans: dict[str, Span] = {}

    def request_started(self, event: RequestStarted) -> None:
        """Start a child span of the current span."""
        self._spans[event.request_id] = self._tracer.start_span(
            f"launch {event.operation}",
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": event.method,
                "url.path": event.path,
                "launch.request": event.request_id,
            },
        )

    def waited_for_budget(self, event: BudgetWait) -> None:
        """Record a wait for the rate limit."""
        self._spans[event.request_id].add_event("waited for budget", {"seconds": event.waited})

    def request_retried(self, event: RequestRetried) -> None:
        """Record a retry."""
        self._spans[event.request_id].add_event("sent again", {"delay": event.delay, "reason": event.reason})

    def request_finished(self, event: RequestFinished) -> None:
        """End the span."""
        span = self._spans.pop(event.request_id)
        span.set_attribute("launch.attempts", event.attempts)
        if event.status is not None:
            span.set_attribute("http.response.status_code", event.status)
        if event.error is not None:
            span.set_attribute("error.type", event.error)
            span.set_status(Status(StatusCode.ERROR))
        span.end()


async def main() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    hooks = Tracing(provider.get_tracer("example"))

    async with LaunchEmulator() as emulator:
        emulator.faults.add("status_before", operation="listProjects", status=503, times=1)
        async with LaunchClient(
            Authtoken(emulator.authtoken),
            base_url=emulator.url,
            organization_uid=emulator.organization_uid,
            hooks=hooks,
            retry=RetryPolicy(backoff_base=0.01),
        ) as launch:
            _ = [project async for project in launch.projects.list()]
            try:
                await launch.projects.get("66c0ffee00000000000000a1")
            except NotFoundError:
                print("There is no such project, as expected.")

    for span in exporter.get_finished_spans():
        print(
            span.name, span.status.status_code.name, [event.name for event in span.events], dict(span.attributes or {})
        )


if __name__ == "__main__":
    asyncio.run(main())
