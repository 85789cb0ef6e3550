"""Every public asynchronous name has a synchronous twin with the same signature, as reflection shows."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import AsyncIterator, Callable, Iterator
from types import FunctionType, ModuleType
from typing import get_args, get_type_hints
from unittest.mock import AsyncMock

import pytest

import launch_async
import launch_sync
from launch_sync._bridge import Lifetime
from tools.generate_sync import LAUNCH

ASYNCHRONOUS = {"__aenter__": "__enter__", "__aexit__": "__exit__", "__aiter__": "__iter__"}


def public_modules() -> Iterator[ModuleType]:
    yield launch_async
    for found in pkgutil.walk_packages(launch_async.__path__, "launch_async."):
        door = found.ispkg or found.name.count(".") == 1
        if door and found.name not in LAUNCH.skipped and "._" not in found.name:
            yield importlib.import_module(found.name)


def is_asynchronous(function: object) -> bool:
    if not isinstance(function, FunctionType):
        return False
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return True
    returned = str(inspect.signature(function).return_annotation)
    return returned.startswith(("AsyncIterator", "AsyncGenerator", "AbstractAsyncContextManager", "Awaitable"))


def is_public(name: str) -> bool:
    return not name.startswith("_") or name in ASYNCHRONOUS


def asynchronous_members(owner: type) -> list[str]:
    return [
        name
        for name in dir(owner)
        if is_public(name) and is_asynchronous(inspect.unwrap(inspect.getattr_static(owner, name)))  # type: ignore[arg-type]
    ]


def pairs() -> Iterator[tuple[str, Callable[..., object], Callable[..., object] | None]]:
    """Yield every public asynchronous function and method with its twin, or None if the twin is missing."""
    for module in public_modules():
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if getattr(value, "__module__", "") in LAUNCH.shared or not isinstance(value, type | FunctionType):
                continue
            twin_module = importlib.import_module(module.__name__.replace("launch_async", "launch_sync"))
            if is_asynchronous(value):
                yield f"{module.__name__}.{name}", value, getattr(twin_module, name, None)
            elif isinstance(value, type) and not getattr(value, "_is_protocol", False):
                for member in asynchronous_members(value):
                    twin = getattr(getattr(twin_module, name), ASYNCHRONOUS.get(member, member), None)
                    yield f"{module.__name__}.{name}.{member}", getattr(value, member), twin


PAIRS = {name: (original, twin) for name, original, twin in pairs()}


def synchronous(hint: object) -> str:
    """Return a type as text, without modules and with the synchronous names."""
    text = hint.__qualname__ if isinstance(hint, type) and not get_args(hint) else str(hint)
    text = re.sub(r"[\w.]+\.(?=\w)", "", text)
    return re.sub(r"\b(Abstract)?Async(?=Iterator|Iterable|Generator|ContextManager)", r"\1", text)


def described(function: Callable[..., object]) -> list[object]:
    package = launch_sync if function.__module__.startswith("launch_sync") else launch_async
    # The client imports its workflows on use, so compare the names that users know.
    parts = ("archive", "deploy", "resources")
    doors = (package, *(importlib.import_module(f"{package.__name__}.{part}") for part in parts))
    known = {name: getattr(door, name) for door in doors for name in door.__all__}
    hints = get_type_hints(function, localns=known)
    signature = inspect.signature(function)
    parameters = [
        (parameter.name, parameter.kind, parameter.default, synchronous(hints.get(parameter.name)))
        for parameter in signature.parameters.values()
    ]
    return [*parameters, synchronous(hints.get("return"))]


def test_the_comparison_finds_twins() -> None:
    assert {"launch_async.LaunchClient.deploy", "launch_async.emulator.LaunchEmulator.__aenter__"} <= PAIRS.keys()


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_the_twin_is_synchronous_and_has_the_same_signature(name: str) -> None:
    original, twin = PAIRS[name]
    assert twin is not None, "run `python tools/generate_sync.py`"
    assert not is_asynchronous(twin)
    assert described(twin) == described(original)


def gives_items(function: Callable[..., object]) -> bool:
    return is_asynchronous(function) and not inspect.iscoroutinefunction(function)


class Answer(str):
    """The answer of the recorder. It can be closed like a client."""

    __slots__ = ()
    close = None


class Recorder:
    """Replace the asynchronous object of a twin, and record the calls of the twin."""

    def __init__(self, original: type) -> None:
        self._original = original
        self.asked: list[tuple[str, tuple[object, ...], dict[str, object]]] = []

    def __getattr__(self, name: str) -> object:
        member = inspect.getattr_static(self._original, name, None)
        if not isinstance(member, FunctionType):
            self.asked.append((name, (), {}))
            return Answer("the answer")

        def plain(*arguments: object, **named: object) -> object:
            self.asked.append((name, arguments, named))
            return items() if gives_items(member) else Answer("the answer")

        async def coroutine(*arguments: object, **named: object) -> object:
            return plain(*arguments, **named)

        async def items() -> AsyncIterator[str]:
            yield "the answer"

        return coroutine if inspect.iscoroutinefunction(member) else plain


def twin_classes() -> Iterator[tuple[type, type]]:
    """Yield every twin class with its original."""
    for found in pkgutil.walk_packages(launch_sync.__path__, "launch_sync."):
        if "._" in found.name:
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__:
                yield value, getattr(importlib.import_module(found.name.replace("_sync", "_async")), name)


MEMBERS = {
    f"{twin.__name__}.{name}": (twin, original, name)
    for twin, original in twin_classes()
    for name, member in vars(twin).items()
    if (not name.startswith("_") and isinstance(member, FunctionType | property)) or name == "__iter__"
}


@pytest.mark.parametrize("key", sorted(MEMBERS))
def test_the_twin_passes_every_argument_to_the_method_of_its_name(key: str) -> None:
    twin_class, original, name = MEMBERS[key]
    recorder = Recorder(original)
    twin = twin_class.__new__(twin_class)
    twin._async = recorder
    twin._lifetime = Lifetime(twin, AsyncMock(), lambda: getattr(recorder, name)(), lender=recorder)
    member = vars(twin_class)[name]
    if isinstance(member, property):
        assert getattr(twin, name) is not None
        assert recorder.asked == [(name, (), {})]
        return
    parameters = list(inspect.signature(member).parameters.values())[1:]
    given = {each.name: _argument(str(each.annotation)) for each in parameters}
    positional = tuple(given[each.name] for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)
    named = {each.name: given[each.name] for each in parameters if each.kind is each.KEYWORD_ONLY}
    result = getattr(twin, name)(*positional, **named)
    original_name = "__aiter__" if name == "__iter__" else name
    assert isinstance(result, Iterator) is gives_items(getattr(original, original_name))
    if isinstance(result, Iterator):
        assert "".join(map(str, result)) == "the answer"
    asked = "pages" if name == "__iter__" else name
    assert recorder.asked == [(asked, positional, named)]


def _argument(annotation: str) -> object:
    """Return an argument that the method gets unchanged, or an equal one if its value is hidden from tracebacks."""
    if "Callable" in annotation:
        # The twin wraps a callback; None stays None.
        return None
    if "Mapping" in annotation:
        return {"NAME": "value"}
    if "Iterable" in annotation:
        return ["text"]
    return "text" if annotation.startswith("str") else object()


def test_every_other_public_name_is_the_same_object() -> None:
    different = {name for name in launch_async.__all__ if getattr(launch_sync, name) is not getattr(launch_async, name)}
    assert different == {name for name in different if getattr(launch_sync, name).__module__.startswith("launch_sync.")}
    assert set(launch_sync.__all__) - set(launch_async.__all__) == {"BridgeThreadError", "LaunchSyncInAsyncWarning"}
