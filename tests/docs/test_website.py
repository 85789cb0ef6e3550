"""The expanded pages are plain Markdown, and the checks of the site work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.website import check
from tools.website.links import linked
from tools.website.pages import DOCS, Entry, drawn, inserted, llms, navigation, texts, twin, write
from tools.website.reference import Options, canonical, markdown


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return texts()


def _groups(entries: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if entry.below:
            yield entry
            yield from _groups(list(entry.below))


def test_pages_contain_no_markers_of_the_build(pages: dict[str, str]) -> None:
    leftover = re.compile(r"^ *::: |--8<--|\]\[launch_|^ *<!-- \w+ -->$", re.MULTILINE)

    assert {page: leftover.findall(text) for page, text in pages.items() if leftover.search(text)} == {}


def test_the_navigation_has_every_page_once_except_the_decisions(pages: dict[str, str]) -> None:
    listed = [page for entry in navigation() for page in entry.pages()]

    assert sorted(listed) == sorted(page for page in pages if not page.startswith("decisions/"))


def test_no_group_of_the_navigation_has_more_than_seven_entries() -> None:
    groups = {group.title: len(group.below) for group in _groups(navigation())}

    assert list(groups)[:3] == ["Start", "Deploy", "Operate many"]
    assert {title: length for title, length in groups.items() if length > 7} == {}


def test_the_programs_of_the_home_page_fit_a_screen_of_1280_pixels(pages: dict[str, str]) -> None:
    home = (DOCS / "index.md").read_text("utf-8")
    programs = re.findall(r"```python\n(.*?)```", pages["index.md"], re.DOTALL)

    # Without a table of contents there is room for 115 characters.
    assert "hide: [toc]" in home.partition("\n---\n")[0]
    assert max(len(line) for program in programs for line in program.splitlines()) <= 115


def test_a_page_lists_the_decisions(pages: dict[str, str]) -> None:
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", pages["decisions/index.md"])

    assert listed == sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))


def test_llms_txt_lists_every_page_with_its_first_sentence(pages: dict[str, str]) -> None:
    lines = llms(navigation(), pages).splitlines()

    assert lines[0] == "# contentstack-launch"
    described = [line for line in lines if re.fullmatch(r"- \[.+\]\([\w/-]+\.md\): .{10,}", line)]
    assert len(described) == sum(1 for entry in navigation() for _ in entry.pages())


def test_a_second_build_removes_old_pages_and_leaves_unchanged_files(tmp_path: Path, pages: dict[str, str]) -> None:
    write(tmp_path, pages)
    (tmp_path / "docs" / "old.md").write_text("left over", "utf-8")
    untouched = (tmp_path / "docs" / "index.md").stat().st_mtime_ns

    write(tmp_path, pages)

    assert not (tmp_path / "docs" / "old.md").exists()
    assert (tmp_path / "docs" / "index.md").stat().st_mtime_ns == untouched
    assert (tmp_path / "theme" / "404.html").exists()
    assert "<svg" in (tmp_path / "docs" / "reference" / "http.md").read_text("utf-8")
    assert "```flow\n" in (tmp_path / "twins" / "reference" / "http.md").read_text("utf-8")
    assert (tmp_path / "twins" / "llms.txt").exists()


# The reference


def test_a_function_has_its_signature_its_parameters_and_its_errors() -> None:
    text = markdown("launch_async.client.LaunchClient.deploy", Options(heading_level=3, show_root_full_path=False))

    assert text.startswith(
        "### `deploy` { #launch_async.client.LaunchClient.deploy .api }\n\n```python\nasync def deploy("
    )
    assert "\n    secrets: SecretFiles = 'refuse',\n" in text
    assert "\n**Parameters:**\n\n- `project_uid` (`str`): " in text
    assert "\n- [`ArchiveError`][launch_async.errors.ArchiveError?]: " in text


def test_types_of_a_signature_that_no_list_names_have_links() -> None:
    get = markdown("launch_async.resources.deployments.Deployments.get", Options())
    projects = markdown("launch_async.client.LaunchClient.projects", Options())
    deploy = markdown("launch_async.client.LaunchClient.deploy", Options())

    deployment = "[`Deployment`][launch_async.models.deployment.Deployment?]"
    assert get.endswith(f"\n\nTypes in the signature: {deployment}.\n")
    assert projects.endswith("Types in the signature: [`Projects`][launch_async.resources.projects.Projects?].\n")
    assert f"\n**Returns:**\n\n- {deployment}: " in deploy
    assert "Types in the signature" not in deploy


def test_launch_sync_is_described_without_await_and_not_in_the_search() -> None:
    text = markdown("launch_sync.client.LaunchClient.deploy", Options())

    assert "```python\ndef deploy(" in text
    assert "data-search-exclude }\n" in text


def test_a_class_of_attrs_shows_its_fields_with_their_defaults() -> None:
    text = markdown("launch_async.models.Deployment", Options())

    assert "- `scheme` (`str`, default: `'https'`): " in text
    assert "#### `" not in text
    assert "### `url` { #launch_async.models.deployment.Deployment.url .api data-search-exclude }" in text


def test_a_module_shows_only_its_public_names() -> None:
    text = markdown("launch_async.http.recording", Options(show_root_heading=False))

    assert "\n## `record_responses` { " in f"\n{text}"
    assert "`_" not in re.sub(r"`__\w+__", "", text)


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        markdown("launch_async.client.Nobody", Options())


def test_a_missing_file_or_part_of_a_file_is_an_error() -> None:
    assert inserted('  --8<-- "examples/visit.py"\n').startswith('  """')
    for path in ("nothing.py", "CONTRIBUTING.md:nothing"):
        with pytest.raises(ValueError, match="nothing"):
            inserted(f'--8<-- "{path}"\n')


# Links


PAGES = {
    "how-to/a.md": "See [`X`][pack.X], [words][pack.door.X] and [y][pack.Y?]. `[code][pack.X]`\n\n"
    "```\n[code][pack.X] FACTS §4\n```\n\nFACTS §4, §11\n",
    "reference/b.md": "# B\n\n## `X` { #pack.X .api }\n\n[`X`][pack.X]\n",
    "reference/facts.md": "## 4. Resources\n\n## 11. Open questions, with `code`\n",
}


def _canonical(path: str) -> str:
    return {"pack.door.X": "pack.X"}[path]


def test_references_become_links_and_code_is_unchanged() -> None:
    pages = linked(PAGES, _canonical)

    assert pages["how-to/a.md"] == (
        "See [`X`](../reference/b.md#pack.X), [words](../reference/b.md#pack.X) and y. `[code][pack.X]`\n\n"
        "```\n[code][pack.X] FACTS §4\n```\n\n"
        "[FACTS §4](../reference/facts.md#4-resources), [§11](../reference/facts.md#11-open-questions-with-code)\n"
    )
    assert "\n[`X`](#pack.X)\n" in pages["reference/b.md"]


def test_a_reference_without_a_page_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"index\.md: no page describes pack\.Z"):
        linked({"index.md": "[z][pack.Z]"}, _canonical)


def test_every_name_has_one_dotted_path() -> None:
    assert canonical("launch_async.Deployment") == canonical("launch_sync.Deployment")


# Twins


def test_a_twin_has_no_attributes_and_no_front_matter() -> None:
    text = "---\ntitle: x\n---\n\n# A\n\n## `X` { #pack.X .api }\n"

    assert twin(text) == "# A\n\n## `X`\n"
    assert drawn("index.md", "```flow\na -> b\n```\n").startswith("<div")
    assert "exclude: true" in drawn("decisions/0001-layout.md", "# Layout\n")


# Checks


def _site(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        page = folder / (f"{name}/index.html" if name != "home" else "index.html")
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, "utf-8")
    return folder


def test_dead_links_are_found(tmp_path: Path) -> None:
    site = _site(
        tmp_path,
        home='<a href="a/#x">ok</a><a href="a/#y">no part</a><a href="b/">none</a><a href="https://example.com/">out</a>',
        a='<h2 id="x">X</h2><a href="..">ok</a><a href="#x">ok</a>',
    )

    assert list(check.dead_links(site)) == [
        "index.html: a/#y has no such anchor",
        "index.html: b/ does not exist",
    ]


@pytest.mark.parametrize(
    "tag",
    [
        '<img src="https://example.com/a.png">',
        '<script src="//example.com/a.js"></script>',
        '<link rel="preconnect stylesheet" href="https://example.com/a.css">',
        '<p style="background: url(https://example.com/a.png)"></p>',
    ],
)
def test_files_from_other_hosts_are_found(tmp_path: Path, tag: str) -> None:
    site = _site(tmp_path, home=f'{tag}<a href="https://example.com/"></a><link rel="canonical" href="https://a.b/">')

    assert len(list(check.loaded_from_elsewhere(site))) == 1


def test_a_stylesheet_that_loads_a_font_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@import 'https://example.com/font.css'; p { background: url(data:x) }", "utf-8")

    assert list(check.loaded_from_elsewhere(tmp_path)) == ["a.css loads https://example.com/font.css"]


def test_two_builds_are_compared_by_their_text(tmp_path: Path) -> None:
    page = '<nav>menu</nav><article><h1>Title<a class="headerlink">&para;</a></h1> <p>All the\nwords</p></article>'
    one = _site(tmp_path / "one", home=page, a=page)
    same = _site(tmp_path / "same", home=page.replace("menu", "other").replace("\n", "  "), a=page)
    other = _site(tmp_path / "other", home=page.replace("the\nwords", "words"), a=page)

    assert list(check.different_words(one, same)) == []
    assert list(check.different_words(one, other)) == [
        "index.html: 'Title All the words' in one is 'Title All words' in other"
    ]
