"""The distribution: its pins, and what pip makes of the built wheel and source archive."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from service.explorer.assets import PAGE, assets
from service.explorer.static import static_page
from tests.support.packages import asked_for, packages_needed, read_pins, read_project
from tests.support.servers.process import ServerProcess

ROOT = Path(__file__).parent.parent
LIGHT = {
    "lrtables",
    "numpy",
    "pydantic",
    "urllib3",
    # what pydantic itself needs
    "annotated-types",
    "pydantic-core",
    "typing-extensions",
    "typing-inspection",
}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a failure shows what it printed."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} exited {done.returncode}\n{done.stdout}{done.stderr}"
    return done


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return read_project()


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    return read_pins("constraints.txt")


def test_every_pin_satisfies_the_project(project: dict[str, Any], pins: dict[str, str]) -> None:
    """Each package that pyproject names is pinned, at a version that pyproject allows."""
    wrong = [
        str(requirement)
        for requirement in asked_for(project, "demo", "dev")
        if not requirement.specifier.contains(pins.get(canonicalize_name(requirement.name), "0"), prereleases=True)
    ]
    assert wrong == []


def test_every_package_of_the_set_up_is_pinned(project: dict[str, Any], pins: dict[str, str]) -> None:
    """The pins are the packages that the set-up needs, transitive ones too, and no others."""
    assert packages_needed(asked_for(project, "demo", "dev")) == set(pins)


def test_the_set_up_is_as_pinned(pins: dict[str, str]) -> None:
    """Each pinned package is installed here at its pin; a local suffix (torch's +cpu) is the machine's choice."""
    installed = {name: Version(distribution(name).version).public for name in pins}
    assert installed == pins


def test_the_core_needs_no_more_than_pydantic_does(project: dict[str, Any]) -> None:
    """The core asks for numpy, pydantic (which needs typing-extensions) and urllib3; torch is an extra."""
    assert [Requirement(text).name for text in project["dependencies"]] == [
        "numpy",
        "pydantic",
        "typing-extensions",
        "urllib3",
    ]


@dataclass(frozen=True)
class Built:
    """What one build made."""

    wheel: Path
    archive: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source archive, and the wheel built from that archive."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, cwd=ROOT)
    return Built(*folder.glob("*.whl"), *folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def light(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a new virtual environment in which the wheel is all that was asked for."""
    folder = tmp_path_factory.mktemp("light") / "venv"
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", "-qq", "-c", ROOT / "constraints.txt", built.wheel, cwd=folder)
    return folder / "bin"


@pytest.mark.slow
def test_the_wheel_holds_the_four_packages(built: Built, project: dict[str, Any]) -> None:
    """The wheel is the four packages with every module and their type markers, and the licence."""
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
    packages = ("client", "lrtables", "scheduler", "service")
    sources = [path for package in packages for path in (ROOT / package).rglob("*") if path.is_file()]
    expected = {str(path.relative_to(ROOT)) for path in sources if "__pycache__" not in path.parts}
    info = f"lrtables-{project['version']}.dist-info"
    assert {name for name in names if not name.startswith(info)} == expected
    assert {f"{package}/py.typed" for package in packages} | {f"{info}/licenses/LICENSE"} <= names


@pytest.mark.slow
def test_the_source_archive_holds_what_its_users_need(built: Built) -> None:
    """The archive has the tests, the pins and the texts, and nothing that was built or installed here."""
    with tarfile.open(built.archive) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt", "tests/test_house.py"} <= names
    assert not [name for name in names if name.startswith((".venv", ".git/", "dist/")) or "__pycache__" in name]


@pytest.mark.slow
def test_the_wheel_alone_is_the_light_client(light: Path) -> None:
    """Installed alone, the wheel brings numpy, pydantic and urllib3 with what pydantic needs, and no more."""
    listing = run(light / "python", "-m", "pip", "list", "--format=freeze", cwd=light).stdout.split()
    assert {canonicalize_name(line.partition("==")[0]) for line in listing} - {"pip", "setuptools"} == LIGHT


@pytest.mark.slow
def test_the_wheel_alone_imports_client_without_torch_and_fastapi(light: Path) -> None:
    """With the wheel alone, client and scheduler import, from the wheel, where torch and fastapi cannot."""
    script = """
import client, scheduler, sys
assert "site-packages" in client.__file__, client.__file__
assert not {"torch", "fastapi"} & set(sys.modules)
for name in ("torch", "fastapi"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        print(name, "is not there")
"""
    done = run(light / "python", "-I", "-W", "error", "-c", script, cwd=light)
    assert done.stdout == "torch is not there\nfastapi is not there\n"


@pytest.mark.slow
def test_a_distribution_that_overwrites_a_package_is_named(built: Built, tmp_path: Path) -> None:
    """Where the distribution `scheduler` is installed after ours, the import and `lrtables doctor` name it."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    for package in (built.wheel, "scheduler==0.8.11"):
        run(python, "-m", "pip", "install", "-qq", "--no-deps", package, cwd=tmp_path)
    commands: list[list[str | Path]] = [[python, "-c", "import lrtables"], [tmp_path / "venv/bin/lrtables", "doctor"]]
    for command in commands:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "its package 'scheduler' is hidden by" in done.stderr
        assert "of the distribution 'scheduler', which installs the same name" in done.stderr
        assert "pip uninstall scheduler" in done.stderr


@pytest.mark.slow
def test_the_wheel_alone_shows_a_schedule(light: Path) -> None:
    """With the wheel alone, `lrtables show` prints a schedule's values: it needs no server."""
    done = run(light / "lrtables", "show", "LinearWarmup", "0.5", "1", "--steps", "2", "--at", "0", cwd=light)
    assert "0.5" in done.stdout


@pytest.mark.slow
def test_the_wheel_alone_writes_the_explorer(light: Path) -> None:
    """With the wheel alone, `lrtables explorer` writes the page as the checkout has it."""
    run(light / "lrtables", "explorer", "--static", "page", cwd=light)
    assert (light / "page/index.html").read_text(encoding="utf-8") == static_page()


@pytest.mark.slow
def test_the_server_of_the_wheel_has_the_explorer(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that runs from the installed wheel serves the page and each of its files as the checkout has them."""
    run(
        sys.executable, "-m", "pip", "install", "-qq", "--no-deps", "--target", tmp_path / "site", built.wheel, cwd=ROOT
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    with ServerProcess(tmp_path / "data") as server:
        assert server.get("/") == assets()[PAGE].body
        assert {path: server.get(f"/explorer/{path}") for path in assets()} == {
            path: asset.body for path, asset in assets().items()
        }


@pytest.mark.slow
def test_the_wheel_alone_says_what_the_server_needs(light: Path) -> None:
    """With the wheel alone, `lrtables serve` ends at once and names the extra to install."""
    done = subprocess.run([light / "lrtables", "serve"], cwd=light, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'lrtables[service]'" in done.stderr
