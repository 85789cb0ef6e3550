"""Write the addresses of the project into every file that needs them. Run this once, before the first release.

    python3 -m tools.addresses --source https://REPOSITORY --documentation https://SITE

A package index shows the README without the other files. The tool therefore changes its links to pages into links to
the site, and its links to other files into links to the repository.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping

from tools.release import LINKS, ROOT, missing_addresses


def main() -> None:
    """Write the addresses, or report the ones that are not valid."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--source", required=True, help=LINKS["Source"])
    parser.add_argument("--documentation", required=True, help=LINKS["Documentation"])
    parser.add_argument("--issues", help=f"{LINKS['Issues']}; SOURCE/issues unless given")
    parser.add_argument("--changelog", help=f"{LINKS['Changelog']}; DOCUMENTATION/changes/ unless given")
    given = parser.parse_args()
    source, documentation = given.source.rstrip("/"), given.documentation.rstrip("/")
    urls = {
        "Source": source,
        "Issues": given.issues or f"{source}/issues",
        "Documentation": f"{documentation}/",
        "Changelog": given.changelog or f"{documentation}/changes/",
    }
    if complaints := list(missing_addresses(urls)):
        sys.exit("\n".join(complaints))
    if "\nurls.Source = " in (ROOT / "pyproject.toml").read_text("utf-8"):
        sys.exit("The project already has addresses. Change them in pyproject.toml, mkdocs.yml and README.md.")
    files = {"pyproject.toml": with_urls, "mkdocs.yml": with_site, "README.md": with_whole_links}
    for name, rewritten in files.items():
        file = ROOT / name
        file.write_text(rewritten(file.read_text("utf-8"), urls), "utf-8")


def with_urls(pyproject: str, urls: Mapping[str, str]) -> str:
    """Return the text of `pyproject.toml` with the addresses in its table of URLs.

    Args:
        pyproject: Text of `pyproject.toml`.
        urls: Name and address, for each of :data:`tools.release.LINKS`.
    """
    lines = "".join(f'urls.{name} = "{address}"\n' for name, address in urls.items())
    others = re.sub(rf"^urls\.({'|'.join(urls)}) = .*\n", "", pyproject, flags=re.MULTILINE)
    return re.sub(r"^(?=urls\.)", lines, others, count=1, flags=re.MULTILINE)


def with_site(mkdocs: str, urls: Mapping[str, str]) -> str:
    """Return the text of `mkdocs.yml` with the site's address, and a link to the repository below each page.

    The address is not written as `repo_url`, because pages would then load statistics from the repository's host.

    Args:
        mkdocs: Text of `mkdocs.yml`.
        urls: As for :func:`with_urls`.
    """
    link = f"{{ icon: material/source-repository, name: Source, link: {urls['Source']} }}"
    return f"site_url: {urls['Documentation']}\n{mkdocs}\nextra:\n  social:\n    - {link}\n"


def with_whole_links(readme: str, urls: Mapping[str, str]) -> str:
    """Return the README with links that work on any site that shows the README.

    Args:
        readme: Text of the README.
        urls: As for :func:`with_urls`.
    """

    def whole(link: re.Match[str]) -> str:
        target = link[1]
        if target.startswith(("https://", "#")):
            return link[0]
        if target == "CHANGELOG.md":
            return f"]({urls['Changelog']})"
        if target.startswith("docs/"):
            page = re.sub(r"\.md$", "/", target.removeprefix("docs/"))
            return f"]({urls['Documentation']}{page})"
        return f"]({urls['Source']}/blob/HEAD/{target})"

    return re.sub(r"\]\(([^)\s]+)\)", whole, readme)


if __name__ == "__main__":
    main()
