"""Run checks against a live site until all have passed or one has failed.

Requests of checks carry no credentials, do not count against the rate limit and are not retried.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, cast

import attrs

from launch_async._text import printable
from launch_async.deploy.release.answer import Verdict, head_of, redirect_of, verdict_of
from launch_async.deploy.release.check import ATTEMPTS, EVERY, GRACE, SUCCESSES, Check, CheckLike, CheckResult, name_of
from launch_async.errors import TransportError
from launch_async.http.base import USER_AGENT, Request, Response, Send

__all__ = ["failures_in", "verify"]

_LOG: Final = logging.getLogger(__name__)
_MAX_BODY_BYTES: Final = 1 << 20
_MAX_REDIRECTS: Final = 5
_FUNCTION_TIMEOUT_S: Final = 30.0
_ALTERNATING_FACTOR: Final = 10
"""A site whose answers alternate fails after the grace time and this many times the deciding number of attempts."""
_HEADERS: Final = {"Accept": "*/*", "Cache-Control": "no-cache", "User-Agent": USER_AGENT}


async def verify(url: str | None, checks: Sequence[CheckLike], send: Send) -> tuple[CheckResult, ...]:
    """Return the outcome of each check. When one check has failed, the SDK stops the others.

    Args:
        url: Absolute URL of the site; None if the service returned none, so that no check can run.
        checks: The checks.
        send: Sends a request to a site.
    """
    if url is None:
        problem = "the service returned no URL for this deployment, so no check could run"
        return tuple(
            CheckResult(name=name_of(check), passed=False, problem=problem, is_refused=True) for check in checks
        )
    counts = [_Counting(check, url, send) for check in checks]
    tasks = [asyncio.ensure_future(one.decide()) for one in counts]
    try:
        left = set(tasks)
        while left:
            done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
            if not all(task.result() for task in done):
                break
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    results = tuple(one.result for one in counts)
    for result in results:
        if not result.passed:
            _LOG.info("Check of %s %s", url, result)
    return results


def failures_in(results: Sequence[CheckResult]) -> str:
    """Return a text with the failed checks and their problems; empty if all have passed."""
    if all(result.passed for result in results):
        return ""
    failed = [result for result in results if not result.passed and result.is_decided]
    failures = "; ".join(str(result) for result in failed).rstrip(".")
    return f"{len(failed)} of {len(results)} checks failed. {failures[:1].upper()}{failures[1:]}."


class _Counting:
    """One check, with its numbers of successes and failures in a row."""

    def __init__(self, check: CheckLike, url: str, send: Send) -> None:
        self._check = check
        self._rule = check if isinstance(check, Check) else Check(attempts=ATTEMPTS, every=EVERY, grace=GRACE)
        self._successes = self._rule.successes if isinstance(check, Check) else SUCCESSES
        self._url = url
        self._send = send
        self._began = asyncio.get_running_loop().time()
        self.result = CheckResult(name=name_of(check), passed=False, is_decided=False)

    async def decide(self) -> bool:
        """Repeat the check until it is decided; return whether the site has passed."""
        clock, rule = asyncio.get_running_loop().time, self._rule
        passed = failed = counted = 0
        while True:
            began = clock()
            verdict = await self._attempt()
            if verdict.problem:
                passed = 0
                failed += began - self._began >= rule.grace
            else:
                passed, failed = passed + 1, 0
            counted += began - self._began >= rule.grace
            is_unsteady = counted >= _ALTERNATING_FACTOR * (rule.attempts + self._successes)
            is_decided = passed >= self._successes or failed >= rule.attempts or is_unsteady
            self._note(verdict, is_decided=is_decided, passed=passed >= self._successes)
            if is_decided:
                return self.result.passed
            await asyncio.sleep(max(0.0, began + rule.every - clock()))

    def _note(self, verdict: Verdict, *, is_decided: bool, passed: bool) -> None:
        self.result = attrs.evolve(
            self.result,
            passed=passed,
            problem=verdict.problem or ("" if passed else "the check passed and failed alternately"),
            status=verdict.status,
            head=verdict.head,
            attempts=self.result.attempts + 1,
            seconds=round(asyncio.get_running_loop().time() - self._began, 3),
            is_refused=verdict.is_refused,
            is_decided=is_decided,
        )

    async def _attempt(self) -> Verdict:
        if isinstance(self._check, Check):
            return await _asked(self._check, self._url, self._send)
        return await _called(self._check, self._url)


async def _asked(check: Check, url: str, send: Send) -> Verdict:
    """Send the request of a check and follow redirects within the site, all within the check's time."""
    try:
        async with asyncio.timeout(check.within):
            response, body = await _answer(check, url.rstrip("/") + check.path, send)
    except TimeoutError:
        return Verdict(f"no complete response within {check.within:g} s")
    except TransportError as error:
        return Verdict(printable(error.message))
    return verdict_of(check, response, body)


async def _answer(check: Check, address: str, send: Send) -> tuple[Response, bytes]:
    for hop in itertools.count():
        body = bytearray()
        response = await send(_request(address, check, body))
        target = redirect_of(check, address, response)
        if target is None or hop == _MAX_REDIRECTS:
            return response, bytes(body or response.body[:_MAX_BODY_BYTES])
        address = target
    raise AssertionError("unreachable")


def _request(url: str, check: Check, body: bytearray) -> Request:
    def keep(part: bytes) -> None:
        body.extend(part[: _MAX_BODY_BYTES - len(body)])

    # A page may have any size, so only its beginning is kept.
    return Request(
        "GET", url, _HEADERS, timeout=check.within, operation="verify", on_body=keep, response_limit=sys.maxsize
    )


async def _called(check: Callable[[str], bool | Awaitable[bool]], url: str) -> Verdict:
    """Call a function. A plain function runs in a thread, because it may wait for the site."""
    try:
        async with asyncio.timeout(_FUNCTION_TIMEOUT_S):
            if inspect.iscoroutinefunction(check) or inspect.iscoroutinefunction(getattr(check, "__call__", None)):  # noqa: B004
                outcome: object = await cast("Awaitable[object]", check(url))
            else:
                outcome = await asyncio.to_thread(check, url)
                if inspect.isawaitable(outcome):
                    outcome = await cast("Awaitable[object]", outcome)
    except TimeoutError:
        return Verdict(f"the function did not end within {_FUNCTION_TIMEOUT_S:g} s")
    except Exception as error:  # noqa: BLE001, RUF100 - any exception means that the site has not passed
        return Verdict(f"the function raised {type(error).__name__}: {head_of(str(error).encode('utf-8', 'replace'))}")
    return (
        Verdict() if outcome else Verdict(f"the function returned {head_of(repr(outcome).encode('utf-8', 'replace'))}")
    )
