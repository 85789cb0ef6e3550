"""Framework presets: how a site is built and served."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from launch_async.models.base import OpenEnum


class FrameworkPreset(OpenEnum):
    """How a site is built and served (FACTS §4).

    Attributes:
        GATSBY: Gatsby.
        NEXTJS: Next.js.
        CRA: Create React App.
        CSR: Client-side rendering.
        ANALOG: Analog.
        ANGULAR: Angular.
        NUXT: Nuxt.
        ASTRO: Astro.
        VUEJS: Vue.js.
        REMIX: Remix.
        OTHER: Anything else.
    """

    GATSBY = "GATSBY"
    NEXTJS = "NEXTJS"
    CRA = "CRA"
    CSR = "CSR"
    ANALOG = "ANALOG"
    ANGULAR = "ANGULAR"
    NUXT = "NUXT"
    ASTRO = "ASTRO"
    VUEJS = "VUEJS"
    REMIX = "REMIX"
    OTHER = "OTHER"

    @property
    def default_output_directory(self) -> str:
        """The output directory that the vendor's tools use for this preset, such as `./.next` (FACTS §4)."""
        return _OUTPUT_DIRECTORIES.get(self, "./")


_OUTPUT_DIRECTORIES: Final[Mapping[FrameworkPreset, str]] = MappingProxyType(
    {
        FrameworkPreset.GATSBY: "./public",
        FrameworkPreset.NEXTJS: "./.next",
        FrameworkPreset.CRA: "./build",
        FrameworkPreset.REMIX: "./build",
        FrameworkPreset.ANALOG: "./dist/analog/public",
        FrameworkPreset.ANGULAR: "./dist",
        FrameworkPreset.ASTRO: "./dist",
        FrameworkPreset.VUEJS: "./dist",
        FrameworkPreset.NUXT: "./.output",
    }
)
