"""The checks of the project, as nox sessions. `python3 tools/run.py SESSION` runs one and needs only Python."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "demo"]
nox.options.error_on_external_run = True

# The tests start hundreds of interpreters. Without compiled modules, each of them compiles every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PROJECT = nox.project.load_toml("pyproject.toml")
PACKAGES = ("launch_async", "launch_sync")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests with the interpreter that runs nox. pytest gets the arguments after `--`."""
    install(session, "test")
    session.run("python", "-m", "pytest", *WORKERS, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests, and measure the share of branches that they reach."""
    install(session, "test")
    session.env["COVERAGE_FILE"] = f"{session.create_tmp()}/coverage"
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *WORKERS, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job, async and then sync: deploy a folder to the emulator, read the site, change and deploy it."""
    install(session)
    session.run("python", "examples/main_job.py", *session.posargs)
    session.run("python", "examples/main_job_sync.py", *session.posargs)


@nox.session
def notebook(session: nox.Session) -> None:
    """Run every cell of the example notebook, and check its output. `-- --html FILE` writes it as a page."""
    install(session, "notebook")
    session.run("python", "tools/check_notebook.py", *session.posargs)


@nox.session
def engines(session: nox.Session) -> None:
    """Run rollouts on Prefect and Dask with real workers, and a journal in PostgreSQL.

    The session needs Debian's packages `redis-server` and `postgresql`.
    """
    install(session, "engines")
    settings = {
        "addopts": "--strict-markers --strict-config",
        "faulthandler_timeout": "600",
        "pythonpath": "examples/engines tests/rate_limit/redis",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    paths = session.posargs or ["tests/engines"]
    # The tests mostly wait, for the start of engines and for timeouts.
    workers = ("-n", "2", "--dist", "worksteal")
    session.run("python", "-m", "pytest", *workers, *options, *paths, env={"ROLLOUT_ENGINES": "yes"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style of code and of prose."""
    install(session, requirements=["ruff>=0.12", "pyyaml>=6"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("python", "-m", "tools.prose")


@nox.session
def types(session: nox.Session) -> None:
    """Check our code with two strict type checkers, all public names, and the code of users with five checkers."""
    install(session, "lint")
    session.run("mypy")
    session.run("mypy", "--explicit-package-bases", "--package", "benchmarks")
    session.run("pyright")
    for package in PACKAGES:
        session.run("pyright", "--ignoreexternal", "--verifytypes", package)
    session.run("python", "-m", "tools.check_user_code")


@nox.session
def sync_check(session: nox.Session) -> None:
    """Check that the committed `launch_sync` is the output of its generator."""
    install(session, requirements=["ruff>=0.12"])
    session.run("python", "tools/generate_sync.py", "--check")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation with both builders. A warning is an error. `-- serve` shows it in a browser."""
    install(session, "docs")
    serve = ["--serve"] if session.posargs == ["serve"] else session.posargs
    session.run("python", "-m", "tools.website", f"{session.create_tmp()}/site", *serve)


@nox.session
def package(session: nox.Session) -> None:
    """Build and check the wheel and the sdist. Use the wheel as the pages describe, and with each extra alone."""
    (wheel,) = (file for file in built(session) if file.suffix == ".whl")
    session.run("python", "-m", "tools.check_wheel", str(wheel), str(built_elsewhere(session)))

    # Python adds the folder of a script to the path, but not the checkout. The scripts import the installed packages.
    plain = clean_environment(session, "plain")
    install_into(session, plain, str(wheel))
    session.run(python_of(session, plain), "examples/main_job_sync.py", external=True)
    session.run(python_of(session, plain), "tools/try_extras.py", external=True)
    for extra in PROJECT["project"]["optional-dependencies"]:
        # Copy an environment, because an installation of the wheel for each extra would take most of a minute.
        alone = clean_environment(session, extra, like=plain)
        install_into(session, alone, f"{wheel}[{extra}]")
        session.run(python_of(session, alone), "tools/try_extras.py", extra, external=True)
    # Run outside the checkout, because pytest and the SDK would find its settings. nox has its temporary files inside.
    outside = {"TMPDIR": os.environ.get("TMPDIR")}
    session.run("python", "-m", "tools.try_consoles", str(wheel), env=outside)


@nox.session
def release(session: nox.Session) -> None:
    """Check a release before it is tagged: addresses, one version everywhere, and files that an index accepts.

    Pass the tag as `-- v1.2.3`.
    """
    session.run("python", "tools/release.py", *session.posargs)
    for file in built(session):
        session.log(f"checked: {file}")


@nox.session
def minimum(session: nox.Session) -> None:
    """Run tests with the oldest allowed dependencies: the tests that use most of them, or the tests after `--`."""
    project = PROJECT["project"]
    allowed = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    # The lower bound is the first version: "aiohttp>=3.14.4,<4" becomes "aiohttp==3.14.4".
    oldest = [requirement.partition(",")[0].replace(">=", "==") for requirement in allowed]
    # schemathesis needs a newer rich than the SDK, and these tests do not use schemathesis.
    tools = [tool for tool in nox.project.dependency_groups(PROJECT, "test") if not tool.startswith("schemathesis")]
    install(session, requirements=["-e", ".", *tools, *oldest])
    session.run("python", "-m", "pip", "check")
    session.run("python", "tools/try_extras.py", *project["optional-dependencies"])
    packages = ["tests/http", "tests/resources", "tests/variables", "tests/wire"]
    session.run("python", "-m", "pytest", *WORKERS, *(session.posargs or packages))


@nox.session
def api(session: nox.Session) -> None:
    """Show the changes of the public interface since the last tag. Fail if the version does not allow them."""
    tag = session.run("git", "describe", "--tags", "--abbrev=0", external=True, silent=True, success_codes=[0, 128])
    if "fatal" in str(tag):
        session.log("There is no tag yet to compare with.")
        return
    install(session, requirements=["griffelib>=2"])
    session.run("python", "-m", "tools.api_differences", str(tag).strip())


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks after `--`, or all: write tables, JSON and pictures, and report slower results."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


# Two workers more than the processors of a small machine, because tests also wait. The alphabetical order spreads the
# long modules over the run.
WORKERS = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")


def built(session: nox.Session) -> list[Path]:
    """Build the wheel and the sdist, check both, and return them."""
    install(
        session,
        requirements=[
            "build>=1.2",
            "twine>=6",
            "check-wheel-contents>=0.6",
            "cyclonedx-python-lib[json-validation]>=11.6",
        ],
    )
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    files = sorted(dist.iterdir())
    session.run("twine", "check", "--strict", *map(str, files))
    session.run("check-wheel-contents", *(str(file) for file in files if file.suffix == ".whl"))
    return files


def built_elsewhere(session: nox.Session) -> Path:
    """Build the wheel a second time, from a copy in another folder with other permissions, and return it."""
    copy = Path(session.create_tmp()) / "elsewhere" / "a copy"
    shutil.rmtree(copy.parent, ignore_errors=True)
    files = str(session.run("git", "ls-files", "-z", "--cached", external=True, silent=True)).split("\0")
    for name in filter(None, files):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(name, copy / name)
        (copy / name).chmod(0o600)
    session.run("python", "-m", "build", "--wheel", "--outdir", str(copy / "dist"), str(copy))
    (wheel,) = (copy / "dist").iterdir()
    return wheel


def clean_environment(session: nox.Session, name: str, like: Path | None = None) -> Path:
    """Create an empty virtual environment, or one with only the packages of another environment."""
    folder = Path(session.create_tmp()) / name
    session.run("python", "-m", "venv", "--clear", "--without-pip", str(folder), silent=True)
    if like:
        for packages in like.glob("[Ll]ib/**/site-packages"):
            shutil.copytree(packages, folder / packages.relative_to(like), symlinks=True, dirs_exist_ok=True)
    return folder


def install_into(session: nox.Session, environment: Path, requirement: str) -> None:
    """Install requirements into another environment, with the pip of this session."""
    target = python_of(session, environment)
    session.run("python", "-m", "pip", "--python", target, "install", "--quiet", "--no-compile", requirement)


def python_of(session: nox.Session, environment: Path) -> str:
    """Return the interpreter of another environment."""
    return str(environment / Path(session.bin).name / "python")


def install(session: nox.Session, *groups: str, requirements: list[str] | None = None) -> None:
    """Install `requirements`, or the checkout with its dependency `groups`. Install each combination only once."""
    arguments = requirements or ["-e", ".", *nox.project.dependency_groups(PROJECT, *groups)]
    state = hashlib.sha256(json.dumps([arguments, requirements or PROJECT]).encode()).hexdigest()
    stamp = Path(session.virtualenv.location) / "installed.sha256"
    if not stamp.exists() or stamp.read_text() != state:
        session.install("--quiet", *arguments)
        stamp.write_text(state)
