"""Detect files that contain secrets: by name if the name is enough, and private keys and tokens by content.

docs/decisions/0003-pathspec.md explains why the SDK has its own short list instead of a secret scanner.
"""

from __future__ import annotations

import re

__all__ = ["SECRET", "holds_secret"]

SECRET = "secret"  # noqa: S105 - a reason for an exclusion, not a password

_NAMES = frozenset(
    {
        ".boto", ".dockercfg", ".git-credentials", ".htpasswd", ".my.cnf", ".netrc", ".pgpass", ".pypirc", ".s3cfg",
        ".vault-token", "_netrc", "application_default_credentials.json", "credentials.json", "credentials.tfrc.json",
        "id_dsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_rsa", "master.key",
    }
)  # fmt: skip
_SUFFIXES = (
    ".p12", ".pfx", ".jks", ".keystore", ".ppk", ".kdb", ".kdbx", ".tfstate", ".tfstate.backup", ".tfvars",
    ".tfvars.json",
)  # fmt: skip
_PATHS = ("/.aws/credentials", "/.docker/config.json", "/.kube/config", "/.cargo/credentials.toml", "/.gem/credentials")
# A separator must follow `.env`, because files such as `.envoy.yaml` contain no secrets.
_DOTENV = re.compile(r"\.(env|envrc|dev\.vars)([._~-].*)?")
_ENV_FILE = re.compile(r"(.*[._-])?(dev|development|live|local|prod|production|secrets?|stage|staging|test)\.env")
_BACKUP = re.compile(r"(\.(bak|backup|old|orig|save|copy)|~)+$")
_SAMPLE_SUFFIXES = (
    ".dist", ".example", ".sample", ".template", "example.env", "sample.env", "template.env",
)  # fmt: skip

_PRIVATE_KEY = re.compile(
    rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|---- BEGIN SSH2 [A-Z ]*PRIVATE KEY|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1"
)
# `_authToken=${NPM_TOKEN}` refers to a variable and contains no secret.
_NPM_TOKEN = re.compile(rb"^[^#;\r\n]*_(?:authToken|auth|password)[ \t]*=[ \t]*[\"']?(?!\$\{)[^\s\"']", re.MULTILINE)
_YARN_TOKEN = re.compile(rb"^\s*[\"']?npmAuth(?:Token|Ident)[\"']?\s*:\s*[\"']?(?!\$\{)[^\s\"'#]", re.MULTILINE)
_ASSIGNMENT = re.compile(rb"^[ \t]*(?:export[ \t]+)?[A-Za-z_]\w*[ \t]*=[ \t]*[^\s#]", re.MULTILINE)
_BY_CONTENT = ((".npmrc", _NPM_TOKEN), (".yarnrc.yml", _YARN_TOKEN), (".env", _ASSIGNMENT))
# The SDK does not search these files for keys, because a site has thousands of them, and a private key in such a file
# is nearly always an example in documentation or a test.
_SITE_FILES = (
    ".html", ".htm", ".css", ".scss", ".sass", ".less", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".vue", ".svelte",
    ".astro", ".map", ".md", ".mdx", ".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif", ".ico", ".woff",
    ".woff2", ".ttf", ".otf", ".eot", ".mp3", ".mp4", ".webm", ".ogg", ".pdf", ".wasm", ".gz", ".br", ".zip",
)  # fmt: skip


def holds_secret(path: str, name: str, head: bytes | None) -> bool | None:
    """Return whether a file is secret by its name, or by its content if the name alone does not decide.

    Args:
        path: Path relative to the archived folder, with `/`.
        name: The last segment of `path`.
        head: The first bytes of the file; None if they were not read yet.

    Returns:
        True or False; None if the result depends on `head`, and `head` is None.
    """
    lower = name.lower()
    sample = lower.endswith(_SAMPLE_SUFFIXES)
    if lower.endswith(_SITE_FILES):
        return not sample and _DOTENV.fullmatch(lower) is not None
    if not sample and _is_secret_name(f"/{path.lower()}", lower):
        return True
    if head is None:
        return None
    rules = [] if sample else [pattern for suffix, pattern in _BY_CONTENT if lower.endswith(suffix)]
    return any(pattern.search(head) for pattern in (_PRIVATE_KEY, *rules))


def _is_secret_name(path: str, name: str) -> bool:
    if _DOTENV.fullmatch(name):
        return True
    kept = _BACKUP.sub("", name)
    kept_path = path.removesuffix(name) + kept
    return (
        kept in _NAMES
        or kept.endswith(_SUFFIXES)
        or kept_path.endswith(_PATHS)
        or _ENV_FILE.fullmatch(kept) is not None
    )
