"""Framework presets: the frameworks that Launch can build."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from launch_async.models.base import OpenEnum


class FrameworkPreset(OpenEnum):
    """Framework of a site, which decides how Launch builds and runs the site.

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
        OTHER: Any other framework, or none.
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
        """Output directory that the vendor's tools use for this preset, such as `./.next`."""
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
