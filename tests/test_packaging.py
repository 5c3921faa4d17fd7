"""What is handed to others: both distributions, the licences, and the pinned versions."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conftest import REPOSITORY
from emovox import Recognizer
from emovox.corpora import SPECS
from emovox.version import __version__

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
LICENCES = ["LICENSE", "LICENSE-WEIGHTS", "LICENSE-APACHE", "NOTICE"]
LOCKS = ["requirements.lock", "requirements-serve.lock", "requirements-full.lock"]


def read(name: str) -> str:
    """Return the text of a file of the repository."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


def git(*arguments: str) -> str:
    """Return what git answers about the repository, or skip the test outside a clone."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("only a clone tells which files and tags belong to the repository")
    done = subprocess.run(
        ["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return done.stdout


def repository_files() -> list[str]:
    """List the files that belong to the repository, or skip the test outside a clone."""
    return [name for name in listed() if (REPOSITORY / name).is_file()]


def linked_files() -> set[str]:
    """List the files of folders that links lead to, which both distributions hold as files."""
    links = [name for name in listed() if (REPOSITORY / name).is_dir()]
    return {f"{name}/{path.name}" for name in links for path in (REPOSITORY / name).iterdir()}


def listed() -> list[str]:
    """List the names that git knows in the repository, or skip the test outside a clone."""
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [name for name in names if name]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both distributions of a copy of the repository, the wheel from the source one."""
    copy, built = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("built")
    for name in listed():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, copy / name, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return built


@pytest.fixture
def unpacked(built: Path, tmp_path: Path) -> Path:
    """Unpack the source distribution."""
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    return tmp_path / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel."""
    (archive,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


class TestRelease:
    """A release is a tag vX.Y.Z on the commit whose version and changelog say X.Y.Z."""

    def test_a_tag_is_the_version(self):
        """Where the commit carries a version's tag, the package has that version and no other."""
        tags = git("tag", "--points-at", "HEAD", "--list", "v[0-9]*").split()
        if not tags:
            pytest.skip("no tag vX.Y.Z is on this commit")
        assert tags == [f"v{__version__}"]
        assert re.search(
            rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", read("CHANGELOG.md"), re.M
        )

    def test_the_changelog_has_the_version(self):
        """The newest version in the changelog, released or not, is that of the package."""
        versions = re.findall(r"^## \[(\d[^]]*)\]", read("CHANGELOG.md"), re.MULTILINE)
        assert versions[0] == __version__

    def test_links_and_classifiers(self):
        """The metadata leads to the source, the changes and the issues, and names the Pythons."""
        assert {"Homepage", "Source", "Changelog", "Issues"} <= PROJECT["project"]["urls"].keys()
        classifiers = PROJECT["project"]["classifiers"]
        pythons = [one.rpartition(" :: ")[2] for one in classifiers if ":: 3." in one]
        assert f">={pythons[0]}" == PROJECT["project"]["requires-python"]


@pytest.mark.needs("build")
class TestSourceDistribution:
    """What is uploaded for those who build and check for themselves."""

    def test_is_the_repository(self, unpacked):
        """Every file of the repository is in it, unchanged, and none beside what the build adds."""
        there = {p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*") if p.is_file()}
        files = set(repository_files())
        assert files - there == set()
        made = {name for name in there - files if not name.startswith("src/emovox.egg-info/")}
        assert made == {"PKG-INFO", "setup.cfg"} | linked_files()
        assert all((unpacked / f).read_bytes() == (REPOSITORY / f).read_bytes() for f in files)

    def test_its_tests_run(self, unpacked):
        """Tests that need conftest.py, examples, documents and models pass in what was unpacked."""
        tests = ["tests/test_core.py", "tests/test_packaging.py::TestLicences"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
            cwd=unpacked,
            env={**os.environ, "PYTHONPATH": str(unpacked / "src")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs("build")
class TestWheel:
    """What pip installs."""

    def test_holds_the_package_alone(self, wheel):
        """The wheel is src/emovox, file by file, and its own description; no tests, no data."""
        names = [*repository_files(), *linked_files()]
        package = {name[4:] for name in names if name.startswith("src/")}
        there = {p.relative_to(wheel).as_posix() for p in wheel.rglob("*") if p.is_file()}
        described = {name for name in there if name.split("/")[0].endswith(".dist-info")}
        assert there - described == package
        assert {name.rpartition("/")[2] for name in described} == {
            *LICENCES, "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt",
        }  # fmt: skip

    def test_says_which_licences_hold(self, wheel):
        """The metadata names the licence of the code and that of the weights, and their texts."""
        (file,) = wheel.glob("*.dist-info/METADATA")
        metadata = Metadata.from_email(file.read_bytes())
        assert metadata.license_expression == "MIT AND LicenseRef-emovox-weights AND Apache-2.0"
        assert metadata.license_files == LICENCES
        assert not [one for one in metadata.classifiers or [] if one.startswith("License")]

    @pytest.mark.parametrize("name", LICENCES)
    def test_carries_the_licences(self, wheel, name):
        """Each text about licences travels in the wheel."""
        (file,) = wheel.glob(f"*.dist-info/licenses/{name}")
        assert file.read_text(encoding="utf-8") == read(name)


@pytest.fixture(scope="module")
def environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel alone; its dependencies are those of the running environment."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)
    (archive,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    install = ["install", "--quiet", "--no-index", "--no-deps", str(archive)]
    subprocess.run([*pip, *install], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    shared = [path for path in sys.path if Path(path).name == "site-packages"]
    (packages / "shared.pth").write_text("\n".join(shared), encoding="utf-8")
    return folder


HEAR = """
import json, sys
import emovox
prediction = emovox.Recognizer.load().predict(sys.argv[1])
print(json.dumps({"module": emovox.__file__, "prediction": prediction.to_dict()}))
"""


@pytest.mark.needs("build")
class TestInstalledWheel:
    """The wheel in an environment of its own, without the checkout."""

    def run(self, environment: Path, program: str, *arguments: str) -> str:
        """Run a program of the environment, in its folder, and return what it prints."""
        done = subprocess.run(
            [environment / "bin" / program, *arguments],
            cwd=environment,
            env={name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def test_recognises(self, environment):
        """The package that answers is the wheel's, and its answer that of the checkout."""
        recording = REPOSITORY / "examples" / "even.flac"
        answer = json.loads(self.run(environment, "python", "-c", HEAR, str(recording)))
        assert Path(answer["module"]).is_relative_to(environment)
        assert answer["prediction"] == Recognizer.load().predict(recording).to_dict()

    def test_has_the_command(self, environment):
        """The command that pip makes knows the version."""
        assert self.run(environment, "emovox", "--version").strip().endswith(__version__)


def table(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of MODEL_CARD.md, without its header."""
    text = read("MODEL_CARD.md").partition(f"## {heading}\n")[2].partition("\n#")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


class TestLicences:
    """What the texts say of the weights is what the cards inside the models say."""

    @pytest.mark.parametrize("model", ["speech", "acoustic"])
    def test_of_the_corpora(self, model):
        """Every corpus stands with its terms in LICENSE-WEIGHTS, model card and README."""
        card = Recognizer.load(model).card
        assert "non-commercial" in card.licence
        blocks = read("LICENSE-WEIGHTS").split("\n\n")
        shown = {row[0].split(" ")[0].lower(): row[1:] for row in table("Training data")}
        assert shown.keys() == {corpus["name"] for corpus in card.corpora}
        for corpus in card.corpora:
            spec = SPECS[corpus["name"]]
            lines = (corpus["title"], corpus["licence"], spec.citation, spec.homepage)
            assert "\n".join(f"  {'  ' * (n > 0)}{line}" for n, line in enumerate(lines)) in blocks
            recordings, speakers, _, terms = shown[corpus["name"]]
            n_unused = int(recordings.replace(",", "")) - corpus["utterances"]
            assert n_unused in (0, 1)  # in one shout of RAVDESS no speech is found
            assert speakers.startswith(str(corpus["speakers"]))
            assert terms == corpus["licence"] == spec.licence
            assert terms in " ".join(read("README.md").partition("\n## Licence")[2].split())

    def test_of_the_encoder(self):
        """NOTICE carries the copyright and the permission of the encoder inside `speech`."""
        assert "MIT" in Recognizer.load("speech").card.features["encoder"]
        copyright_line, permission = "Copyright (c) 2022 OpenAI\n\n", "Permission is hereby granted"
        assert copyright_line + permission in read("NOTICE")
        assert read("NOTICE").partition(permission)[2] == read("LICENSE").partition(permission)[2]


def pins(name: str) -> dict[str, str]:
    """Return the packages that a file pins, with their versions."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", read(name), re.MULTILINE)
    assert len(found) == len(dict(found))
    return {canonicalize_name(package): version for package, version in found}


def installed_for(requirements: list[str]) -> set[str]:
    """Return the packages that requirements bring here, those of torch left out."""
    waiting, seen = [Requirement(text) for text in requirements], set()
    while waiting:
        one = waiting.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        if one.name == "torch":
            continue
        for text in requires(one.name) or []:
            more = Requirement(text)
            extras = one.extras or {""}
            if not more.marker or any(more.marker.evaluate({"extra": e}) for e in extras):
                waiting.append(more)
    return {name for name, _ in seen}


CORE = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["build"]
SERVE = CORE + PROJECT["project"]["optional-dependencies"]["serve"]
APART = ("pipecat", "livekit")  # extras whose tests have an environment of their own
FULL = CORE + [
    one
    for extra, wanted in PROJECT["project"]["optional-dependencies"].items()
    for one in wanted
    if extra not in APART and not one.startswith("emovox[")  # another extra
]
DEV = FULL + [
    one
    for group in ("dev", "test")
    for one in PROJECT["dependency-groups"][group]
    if isinstance(one, str)
]


class TestPinned:
    """constraints.txt says which versions; the lock files say the same, with hashes."""

    @pytest.mark.needs("torch")
    def test_everything(self):
        """Whatever an installation for development brings has its version pinned."""
        assert installed_for(DEV) - pins("constraints.txt").keys() == set()

    @pytest.mark.parametrize(
        ("lock", "wanted"),
        [
            (LOCKS[0], CORE),
            pytest.param(LOCKS[1], SERVE, marks=pytest.mark.needs("prometheus_client")),
            (LOCKS[2], FULL),
        ],
    )
    def test_locks_are_whole(self, lock, wanted):
        """A lock file holds all that the installation brings, but torch."""
        assert installed_for(wanted) - pins(lock).keys() <= {"torch"}
        assert "torch" not in pins(lock)

    @pytest.mark.parametrize("lock", LOCKS)
    def test_locks_agree(self, lock):
        """Their versions are those of constraints.txt; the full one holds the others."""
        assert pins(lock).items() <= pins("constraints.txt").items()
        assert pins(lock).items() <= pins(LOCKS[-1]).items()

    @pytest.mark.parametrize("lock", LOCKS)
    def test_locks_have_hashes_and_no_addresses(self, lock):
        """Each package is followed by its hashes; no option names an index or a folder."""
        text = re.sub(r"^#.*\n", "", read(lock), flags=re.MULTILINE)
        package = r"[\w.-]+==[^\s;]+(?: ; [^\n/]+?)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
        assert re.fullmatch(rf"(?:{package})+", text)
