"""The body of a request that creates a Git project."""

from __future__ import annotations

from typing import Any

GIT_REPOSITORY: dict[str, Any] = {
    "repositoryName": "acme/shop",
    "username": "acme",
    "repositoryUrl": "https://github.com/acme/shop",
    "gitProviderMetadata": {"gitProvider": "GitHub"},
}
GIT_PROJECT: dict[str, Any] = {
    "name": "shop",
    "projectType": "GITPROVIDER",
    "repository": GIT_REPOSITORY,
    "environment": {"name": "main", "frameworkPreset": "NEXTJS", "gitBranch": "main"},
}
