"""Write launch_sync from the source of launch_async: `python tools/generate_sync.py [--check]`.

Every public coroutine, async iterator and async context manager gets a synchronous twin with the same name, signature,
types and docstring. The twin passes the call to the asynchronous object through `launch_sync._bridge`. Data, errors and
credentials are the same objects in both packages. The generator fails at a construct without a synchronous form.

With `--check` the generator writes nothing. The exit code is 1 if a file is out of date, missing or no longer needed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.sync_facade.facade import Facade, modules_of  # noqa: E402
from tools.sync_facade.source import UnmappedError  # noqa: E402

LAUNCH = Facade(
    source=ROOT / "launch_async",
    target="launch_sync",
    # Users provide these objects, and they run on the private loop.
    shared=frozenset(
        f"launch_async.{name}"
        for name in (
            "auth.access_token",
            "auth.tokens",
            "auth.oauth",
            "auth.system_keyring",
            "emulator.clock",
            "emulator.options",
            "emulator.transport",
            "hooks",
            "http.aiohttp_transport",
            "http.base",
            "http.credentials",
            "http.fake_transport",
            "rate_limit.local",
            "rate_limit.types",
            "rate_limit.unlimited",
            "rate_limit.redis.limiter",
        )
    ),
    # An aiohttp session belongs to the event loop that created it, and no caller can create one on the private loop.
    absent=frozenset({"LaunchClient.session"}),
    skipped=frozenset({"launch_async.cli", "launch_async.pytest_plugin"}),
    constructed=frozenset({"LaunchClient", "LaunchEmulator"}),
    fork_aware=frozenset({"LaunchClient"}),
    # The loop needs the result of a check. A plain function runs in a thread, a coroutine function on the private loop.
    on_loop=frozenset({"LaunchClient.verify", "Fleet.verify"}),
    extra={"BridgeThreadError": "launch_sync._bridge.loop", "LaunchSyncInAsyncWarning": "launch_sync._bridge.loop"},
)
HAND_WRITTEN = "_bridge"


def main() -> int:
    """Write or check the facade; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is out of date")
    check: bool = parser.parse_args().check
    folder = ROOT / LAUNCH.target
    try:
        wanted = generated(LAUNCH, folder)
    except UnmappedError as error:
        print(error, file=sys.stderr)
        return 1
    wrong = differences(folder, wanted)
    if check:
        for line in wrong:
            print(line, file=sys.stderr)
        if wrong:
            print("Run `python tools/generate_sync.py` and commit the changes.", file=sys.stderr)
        return int(bool(wrong))
    write(folder, wanted)
    return 0


def generated(facade: Facade, folder: Path) -> dict[Path, str]:
    """Return every module of a facade for `folder`, with sorted imports and in the project's format."""
    texts = modules_of(facade)
    ours = f'lint.isort.known-first-party=["launch_async", "launch_sync", "{facade.source.name}", "{facade.target}"]'
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda item: _ruff(item[1], folder / item[0], ours), texts.items())
        return dict(zip(texts, results, strict=True))


def differences(folder: Path, wanted: dict[Path, str]) -> list[str]:
    """Return the problems of the files of a facade, one line for each."""
    present = {path.relative_to(folder): path for path in folder.rglob("*.py")}
    missing = [f"{path}: missing" for path in sorted(wanted.keys() - present.keys())]
    unwanted = [
        f"{path}: no longer needed" for path in sorted(present.keys() - wanted.keys()) if HAND_WRITTEN not in path.parts
    ]
    stale = [
        f"{path}: out of date"
        for path in sorted(wanted.keys() & present.keys())
        if present[path].read_text(encoding="utf-8") != wanted[path]
    ]
    return [*missing, *unwanted, *stale]


def write(folder: Path, wanted: dict[Path, str]) -> None:
    """Write a facade, and remove the files that no longer belong to it."""
    for path in folder.rglob("*.py"):
        if path.relative_to(folder) not in wanted and HAND_WRITTEN not in path.parts:
            path.unlink()
    for path, text in wanted.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


def _ruff(text: str, path: Path, ours: str) -> str:
    sort = ["check", "--quiet", "--fix", "--select", "F401,I,RUF022", "--config", ours, "--exit-zero"]
    for command in (sort, ["format", "--quiet"]):
        text = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(path), "-"],
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    return text


if __name__ == "__main__":
    sys.exit(main())
