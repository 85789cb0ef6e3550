"""Detect values of variables that look like secrets, by their names and their contents.

The result is a guess. If the guess is wrong, users write `{literal = "..."}` for a public value, or `env:NAME` for a
secret.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["looks_secret"]

_NAME: Final = re.compile(
    r"""pass(word|wd|phrase|code)|secret|token|credential|signature|private|webhook
        |(api|access|account|encryption|signing|license)[_\-.]?key
        |(^|[_\-.])(key|keys|auth|dsn|salt|pat|pass|pwd|jwt|cookie)([_\-.]|$)""",
    re.IGNORECASE | re.VERBOSE,
)
_PUBLIC: Final = re.compile(r"(NEXT_PUBLIC|NUXT_PUBLIC|PUBLIC|VITE|GATSBY|REACT_APP)_")
"""Prefixes of variables whose values frameworks write into public pages."""
_VALUE: Final = re.compile(
    r"""-----BEGIN\ [A-Z ]*PRIVATE\ KEY            # a key
        |\b[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@   # an address with a password
        |\beyJ[\w-]+\.eyJ[\w-]+\.                    # a signed token
        |\b(gh[pousr]|github_pat|glpat|sk_live|rk_live|xox[abpr])[_-]\w+
        |\bAKIA[0-9A-Z]{16}\b
        |\bcs[0-9a-f]{32}\b                          # a token of Contentstack
    """,
    re.VERBOSE,
)


def looks_secret(name: str, value: str) -> bool:
    """Return whether the value of a variable looks like a secret."""
    return bool(_VALUE.search(value)) or (bool(_NAME.search(name)) and not _PUBLIC.match(name))
