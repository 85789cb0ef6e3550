"""Compare a deployed site with its folder."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

PAGE = "index.html"

# Use no proxy, because a proxy cannot reach an emulator on this machine.
_BROWSER = build_opener(ProxyHandler({}))


def expect_same(url: str | None, folder: Path) -> None:
    """Fetch the front page and every file of `folder` from `url`, and end the program if a file differs."""
    if url is None:
        sys.exit("The deployment has no URL.")
    root = url.rstrip("/") + "/"
    paths = {"": PAGE} | {path: path for path in _files(folder)}
    for address, path in paths.items():
        try:
            with _BROWSER.open(root + address, timeout=10) as answer:
                served = answer.read()
        except OSError as error:
            sys.exit(f"{root}{address} cannot be fetched: {error}")
        if served != (folder / path).read_bytes():
            sys.exit(f"{root}{address} is not the deployed {path}.")
    print(f"  {len(paths)} addresses fetched, each the same as its file")


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
