"""State files: the keys that they may contain, the errors for others, and the text that stays when a file is saved."""

from __future__ import annotations

import json
import sys
import tomllib
import traceback
from importlib.resources import files
from pathlib import Path

import jsonschema_rs
import pytest
import tomlkit
from hypothesis import given, settings as limits, strategies as st

from launch_async import InvalidArgumentError, State, StateError
from launch_async.state import (
    DELETE,
    DeclaredEnvironment,
    DeclaredGroup,
    DeclaredPasswordProtection,
    DeclaredProject,
    DeclaredRepository,
    DeclaredSettings,
    LiteralValue,
)
from launch_async.state.declarations import SWITCHES, TEXTS
from launch_async.state.file.lines import key_lines, line_of
from launch_async.state.file.reading import KEYS
from tests.support.programs import ROOT

EXAMPLE = """\
# Three brands.
[defaults]                                     # for every environment below
framework_preset = "OTHER"

[projects.shop]
[projects.shop.environments.production]
git_branch = "main"   # never anything else
protected = true
[projects.shop.environments.production.variables]
API_URL = "https://api.example.com"
API_TOKEN = "env:SHOP_API_TOKEN"
ODD = {literal = "env:really"}

[groups.brands]
projects = ["shop-*"]
"""
SCHEMA = json.loads(files("launch_async.state").joinpath("launch.schema.json").read_text("utf-8"))
REPOSITORY = DeclaredRepository(repository_name="acme/shop", username="acme", repository_url="https://git.example/shop")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts.filter(bool)
sources = st.one_of(
    texts.map(lambda text: f"x{text}"), texts.map(LiteralValue), st.just(DELETE), st.just("env:A"), st.just("file:a b")
)
protections = st.builds(
    DeclaredPasswordProtection,
    is_enabled=st.none() | st.booleans(),
    username=st.none() | texts,
    password=st.sampled_from([None, "env:A", "file:b"]),
)
settings = {
    **dict.fromkeys(TEXTS, st.none() | names),
    **dict.fromkeys(SWITCHES, st.none() | st.booleans()),
    "password_protection": st.none() | protections,
    "variables": st.dictionaries(texts.map(lambda text: f"_{text}"), sources, max_size=3),
}
environments = st.builds(
    DeclaredEnvironment, uid=st.sampled_from([None, "0" * 24]), source=st.none() | texts, **settings
)
projects = st.builds(
    DeclaredProject,
    description=st.none() | texts,
    repository=st.none() | st.just(REPOSITORY),
    environments=st.dictionaries(names, environments, max_size=2),
)
patterns = st.lists(texts, max_size=2).map(tuple)
states = st.builds(
    State,
    projects=st.dictionaries(names, projects, max_size=2),
    groups=st.dictionaries(
        texts, st.builds(DeclaredGroup, projects=patterns, environments=patterns, **settings), max_size=2
    ),
    defaults=st.builds(DeclaredSettings, protected=st.none() | st.booleans(), **settings),
    unmanaged=patterns,
)


def problems(text: str) -> list[str]:
    with pytest.raises(StateError) as caught:
        State.from_toml(text)
    return [str(one) for one in caught.value.problems]


def test_a_document_is_typed_data() -> None:
    state = State.from_toml(EXAMPLE)

    production = state.projects["shop"].environments["production"]
    assert state.defaults.framework_preset == "OTHER"
    assert (production.git_branch, production.protected, production.build_command) == ("main", True, None)
    assert production.variables == {
        "API_URL": "https://api.example.com",
        "API_TOKEN": "env:SHOP_API_TOKEN",
        "ODD": LiteralValue("env:really"),
    }
    assert state.groups["brands"] == DeclaredGroup(projects=("shop-*",), environments=("*",))


@limits(max_examples=15)
@given(states, states)
def test_a_new_and_a_changed_file_are_read_back_unchanged(loaded: State, changed: State) -> None:
    text = loaded.to_toml()
    state = State.from_toml(text)
    assert state == loaded
    assert jsonschema_rs.is_valid(SCHEMA, tomllib.loads(text))
    for field in ("projects", "groups", "defaults", "unmanaged"):
        setattr(state, field, getattr(changed, field))

    assert State.from_toml(state.to_toml()) == changed


def test_a_loaded_file_is_saved_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "launch.toml"
    path.write_text(EXAMPLE)
    path.chmod(0o640)

    State.load(path).save(path)

    assert path.read_text() == EXAMPLE
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["launch.toml"]


def test_saving_a_changed_document_keeps_comments_and_order() -> None:
    state = State.from_toml(EXAMPLE)
    production = state.projects["shop"].environments["production"]
    production.git_branch = "release"
    production.variables["NEW"] = "1"
    del production.variables["ODD"]
    state.projects["shop"].environments["staging"] = DeclaredEnvironment(git_branch="develop")

    text = state.to_toml()

    assert 'git_branch = "release"   # never anything else\n' in text
    assert text.startswith("# Three brands.\n[defaults]                                     # for every environment")
    assert text.index("[projects.shop.environments.production]") < text.index("[groups.brands]")
    assert State.from_toml(text) == state


def test_new_environments_can_be_added_to_dotted_keys() -> None:
    state = State.from_toml(
        '[projects.shop]\n# ours\nenvironments.production = {git_branch = "main"}\n[projects.blog]\n'
    )
    state.projects["shop"].environments["staging"] = DeclaredEnvironment(variables={"A": "1"})

    text = state.to_toml()

    assert "# ours\n" in text
    assert State.from_toml(text) == state


def test_all_problems_are_named_together_with_file_line_and_key() -> None:
    text = '''unmanged = 1
[defaults]
framework_preset = 3
[projects.shop]
uid = "abc"
[projects.shop.environments.production]
gitBranch = "main"
delete = true
protected = true
password_protection = {is_enabled = true, password = "hunter2"}
[projects.shop.environments.production.variables]
LONG = """
# ] "
"""
PORT = 3000
LIST = [
  "[", # {
]
API_TOKEN = "hunter2"
EMPTY = "env:"
[projects."a b".repository]
username = "acme"
[groups.x]
git_branch = "m"
'''
    found = problems(text)

    production = "projects.shop.environments.production"
    assert [one.split(": ")[:2] for one in found] == [
        ["launch.toml:1", "unmanged"],
        ["launch.toml:3", "defaults.framework_preset"],
        ["launch.toml:5", "projects.shop.uid"],
        ["launch.toml:7", f"{production}.gitBranch"],
        ["launch.toml:8", f"{production}.delete"],
        ["launch.toml:10", f"{production}.password_protection.password"],
        ["launch.toml:15", f"{production}.variables.PORT"],
        ["launch.toml:16", f"{production}.variables.LIST"],
        ["launch.toml:19", f"{production}.variables.API_TOKEN"],
        ["launch.toml:20", f"{production}.variables.EMPTY"],
        ["launch.toml:21", 'projects."a b".repository'],
        ["launch.toml:23", "groups.x"],
    ]
    assert "Did you mean unmanaged?" in found[0]
    assert "Did you mean git_branch?" in found[3]
    assert 'write "3000"' in found[6]
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\nb = \n", "launch.toml:2: is not valid TOML"),
        ("[projects.shop]\n[projects.shop]\n", "launch.toml:2: is not valid TOML"),
        ("a = '''", "launch.toml:1: is not valid TOML"),
    ],
)
def test_invalid_toml_is_named_with_its_line(text: str, place: str) -> None:
    (problem,) = problems(text)

    assert problem.startswith(place)


@given(st.data())
def test_the_line_of_every_key_is_right(data: st.DataObject) -> None:
    # Each value is a different number, so the line that contains the number is the line of the key.
    keys = st.sampled_from(["a", '"b c"', "'d.e'", '"\\"#]="', "f"])
    values = {}
    lines = []
    for number in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            lines += data.draw(
                st.sampled_from(
                    [["# [x]"], [""], [f's{number} = """', "a = 1 # ]", '"""'], [f"l{number} = [", "'[', # {", "]"]]
                )
            )
        kind = data.draw(st.sampled_from(["header", "plain", "dotted", "inline"]))
        key = data.draw(keys)
        head = {"header": [f"[t{number}.{key}]"], "plain": [], "dotted": [], "inline": []}[kind]
        line = {
            "header": f"x = {number}",
            "plain": f"p{number} = {number} # = [",
            "dotted": f"q{number} . {key} = {number}",
            "inline": f"i{number} = {{a = '}}', {key} = {{ z = {number} }}}}"
            if key != "a"
            else f"i{number} = {number}",
        }[kind]
        lines += [*head, line]
        values[number] = len(lines)
    document = tomllib.loads("\n".join(lines))

    found = {}

    def visit(table: dict[str, object], path: tuple[str, ...]) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                visit(value, (*path, name))
            elif isinstance(value, int):
                found[value] = line_of((*path, name), key_lines("\n".join(lines)))

    visit(document, ())
    assert found == values


def test_references_are_listed_with_the_variables_that_use_them() -> None:
    state = State.from_toml(EXAMPLE)
    state.defaults.password_protection = DeclaredPasswordProtection(password="file:preview.txt")

    assert [str(one) for one in state.references] == [
        "file:preview.txt for defaults password",
        "env:SHOP_API_TOKEN for shop/production API_TOKEN",
    ]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda: "hunter2", "because it is a function"),
        ("hunter2", "looks like a secret, so it is not written"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_a_source_that_cannot_be_written_is_refused(source: object, message: str) -> None:
    environment = DeclaredEnvironment(variables={"API_TOKEN" if source == "hunter2" else "API_URL": source})
    state = State(projects={"shop": DeclaredProject(environments={"production": environment})})

    with pytest.raises(StateError, match=message) as caught:
        state.to_toml()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(state)


@pytest.mark.parametrize("name", ["NEXT_PUBLIC_API_KEY", "MONKEY", "KEYBOARD", "AUTHOR", "TIMEOUT"])
def test_harmless_names_need_no_reference(name: str) -> None:
    assert State.from_toml(f'[defaults.variables]\n{name} = "x"\n')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET", "x"),
        ("apiKey", "x"),
        ("DB_PASSWORD", "x"),
        ("URL", "postgres://u:p@host/db"),
        ("X", "-----BEGIN PRIVATE KEY-----"),
    ],
)
def test_a_value_that_looks_like_a_secret_needs_a_reference(name: str, value: str) -> None:
    assert "looks like a secret" in problems(f'[defaults.variables]\n{name} = "{value}"\n')[0]


def test_reading_works_without_tomlkit_and_writing_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomlkit", None)
    state = State.from_toml(EXAMPLE)

    with pytest.raises(Exception, match=r'pip install "contentstack-launch\[state\]"'):
        state.to_toml()


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_an_unreadable_file_is_refused_with_the_reason(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "launch.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidArgumentError, match=r"launch\.toml' (cannot be read: No such file|is not UTF-8)"):
        State.load(path)


def test_the_schema_contains_the_keys_that_are_read() -> None:
    tables = {
        "state": SCHEMA,
        "defaults": SCHEMA["properties"]["defaults"],
        **{name: SCHEMA["definitions"][name] for name in KEYS.keys() - {"state", "defaults"}},
    }

    assert {name: set(table["properties"]) for name, table in tables.items()} == {
        name: set(keys) for name, keys in KEYS.items()
    }


def test_the_schema_is_published_with_the_documentation() -> None:
    assert json.loads((ROOT / "docs/reference/launch.schema.json").read_text("utf-8")) == SCHEMA


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    assert jsonschema_rs.is_valid(SCHEMA, tomllib.loads(EXAMPLE))
    for text in (
        '[defaults]\ngit_brunch = "x"',
        "[defaults.variables]\nA = 3",
        "[groups.x]",
        '[projects.a]\nuid = "x"',
    ):
        assert problems(text)
        assert not jsonschema_rs.is_valid(SCHEMA, tomllib.loads(text))


def test_tomlkit_reads_the_written_file() -> None:
    assert tomlkit.parse(State.from_toml(EXAMPLE).to_toml())


def test_a_secret_in_a_file_is_in_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "launch.toml"
    path.write_text('[defaults.variables]\nAPI_TOKEN = "hunter2"\n')

    try:
        State.load(path)
    except StateError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())

    assert "launch.toml:2" in shown
    assert "hunter2" not in shown
