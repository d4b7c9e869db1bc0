"""What is built has what it needs: the source archive its tests, the wheel its data, pytest its plugin once."""

import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version

import pytest
from conftest import ROOT, environment

from harness.evidence.claims.verdict_file import FILE
from harness.evidence.comparison.recorded import FILE as SCORES
from harness.layout import reference_claims

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LEFT_OUT = {".git", ".venv", "build", "dist", "runs", "weights", "trunks", ".mypy_cache", ".ruff_cache",
            ".pytest_cache", ".hypothesis", "__pycache__"}
NO_PART = (".ci", ".github", ".gitignore")      # of what is built: they are about a checkout
DATA = (".py", ".toml", ".css", ".js")
PLUGIN = "harness.conformance.pytest_plugin"


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A copy of the tree, and the names in the source archive and in the wheel that are built of it."""
    pytest.importorskip("build")
    if int(version("setuptools").partition(".")[0]) < 77:
        pytest.skip("needs setuptools 77 to build")
    tree, dist = tmp_path_factory.mktemp("tree") / "harness", tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT, tree, ignore=lambda folder, names: [
        name for name in names if name in LEFT_OUT or name.endswith((".egg-info", ".pyc", "worker.log"))
        or (folder == str(ROOT) and name == "site")         # of the documentation
        or (folder == str(ROOT / "results") and name not in ("reference", "README.md"))])
    before = files_below(tree)
    done = subprocess.run([sys.executable, "-m", "build", "--no-isolation", "-o", dist, tree], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    archive, = dist.glob("*.tar.gz")
    wheel, = dist.glob("*.whl")
    with tarfile.open(archive) as opened:
        source = {name.partition("/")[2] for name in opened.getnames()}
    return before, source, wheel


def test_the_source_archive_is_the_tree(built):
    before, source, _ = built
    assert {name for name in before - source if not name.startswith(NO_PART)} == set()


def test_the_wheel_has_code_claims_and_verdicts_and_no_cells(built, tmp_path):
    _, _, wheel = built
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        opened.extractall(tmp_path)
    places = {"harness": ROOT / "harness", "harness/plugins": ROOT / "plugins", "harness/suites": ROOT / "suites"}
    expected = {f"{place}/{path.relative_to(folder).as_posix()}" for place, folder in places.items()
                for path in folder.rglob("*") if path.suffix in DATA or path.name == "py.typed"}
    assert {name for name in names if not name.partition("/")[0].endswith("dist-info")} == {
        *expected, f"harness/reference/{FILE}", f"harness/reference/{SCORES}"}

    def claims(where):
        done = subprocess.run([sys.executable, "-m", "harness", "claims", "--json"], cwd=tmp_path.parent, check=True,
                              env=environment() | {"PYTHONPATH": str(where)}, capture_output=True, text=True)
        return done.stdout

    assert claims(tmp_path) == claims(ROOT)
    assert any(json.loads(line)["verdicts"] for line in claims(tmp_path).splitlines())


def test_every_package_is_listed():
    """And nothing else: the verdicts lie in a folder that is mapped."""
    settings = PYPROJECT["tool"]["setuptools"]
    folders = {"harness": ROOT / "harness", "harness.plugins": ROOT / "plugins", "harness.suites": ROOT / "suites"}
    found = {".".join([name, *path.parent.relative_to(folder).parts]) for name, folder in folders.items()
             for path in folder.rglob("__init__.py")}
    assert {*found, "harness.reference"} == set(settings["packages"])
    assert ROOT / settings["package-dir"]["harness.reference"] == reference_claims()


def test_the_plugin_of_pytest_is_registered_once_however_it_is_named(tmp_path):
    """By the entry point, on the command line and in a conftest; and it imports no torch."""
    entries = PYPROJECT["project"]["entry-points"]["pytest11"]
    assert entries == {PLUGIN: PLUGIN}
    info = tmp_path / "site" / "as_installed-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: as-installed\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{a} = {b}\n" for a, b in entries.items()))
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_one.py").write_text(
        "import sys\ndef test_one(pytestconfig):\n    assert 'torch' not in sys.modules\n"
        "    assert pytestconfig.getoption('harness_check') == []\n")
    path = {"PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"}
    for conftest in ("", f"pytest_plugins = ['{PLUGIN}']\n"):
        (project / "conftest.py").write_text(conftest)
        for named in ([], ["-p", PLUGIN]):
            done = subprocess.run([sys.executable, "-m", "pytest", "-q", *named], cwd=project, check=False,
                                  env=environment() | path, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
