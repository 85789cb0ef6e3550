"""Add the software bill of materials (SBOM, PEP 770) to the wheel during its build."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SbomHook(BuildHookInterface[Any]):
    """Writes the SBOM next to the wheel that hatchling builds. hatchling adds it to `.dist-info/sboms/`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the SBOM."""
        # A build has no path to the other modules of the project.
        spec = importlib.util.spec_from_file_location("sbom", Path(self.root) / "tools" / "sbom.py")
        if spec is None or spec.loader is None:
            raise ImportError("tools/sbom.py is missing")
        sbom = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sbom)
        core = self.metadata.core
        text = sbom.sbom(
            name=core.raw_name,
            version=self.metadata.version,
            licence=core.license_expression,
            description=core.description,
            dependencies=core.dependencies,
            extras=core.optional_dependencies,
        )
        self._file = Path(self.directory) / f"{core.name}.cdx.json"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(text, encoding="utf-8", newline="\n")
        build_data["sbom_files"].append(str(self._file))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave only the wheel."""
        self._file.unlink()
