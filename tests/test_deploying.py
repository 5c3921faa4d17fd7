"""What is shipped around the package: image, site, and pages for hubs and language models."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import REPOSITORY
from emovox.server.settings import ServerSettings

sys.path.append(str(REPOSITORY / "deploy"))
from rehearse import instructions


def read(name: str) -> str:
    """Return the text of a file of the repository."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


class TestImage:
    """The Dockerfile and what runs around it; `make image-check` follows its steps for real."""

    def last_stage(self) -> dict[str, str]:
        """Return the last of each instruction of the last stage."""
        return dict(instructions(read("Dockerfile").rpartition("\nFROM ")[2]))

    def test_runs_without_rights(self):
        """The service runs as a user of its own, and says whether it is healthy."""
        stage = self.last_stage()
        assert int(stage["USER"]) > 0
        assert "/healthz" in stage["HEALTHCHECK"]
        assert (json.loads(stage["ENTRYPOINT"]), json.loads(stage["CMD"])) == (
            ["emovox"],
            ["serve"],
        )

    def test_copies_what_is_there(self):
        """Whatever is copied into the image exists, and is not kept out by .dockerignore."""
        let_in = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
        copied = set()
        for name, rest in instructions(read("Dockerfile")):
            if name == "COPY" and not rest.startswith("--from="):
                copied |= set(rest.split()[:-1])
        assert copied == let_in
        assert all((REPOSITORY / name).exists() for name in copied)

    @pytest.mark.needs("yaml")
    def test_compose(self):
        """The composition mounts files that are there, and sets what the service knows."""
        import yaml

        composition = yaml.safe_load(read("compose.yaml"))
        for service in composition["services"].values():
            for volume in service.get("volumes", ()):
                source = volume.partition(":")[0]
                assert source in composition["volumes"] or (REPOSITORY / source).exists()
        variables = composition["services"]["emovox"]["environment"]
        file = variables.pop("EMOVOX_TOKEN_FILE")
        assert file.rpartition("/")[2] in composition["secrets"]
        environment = {**variables, "EMOVOX_ORIGINS": "https://voice.example.org"}
        assert ServerSettings.from_environment(environment).max_share == 1
        scraped = yaml.safe_load(read("deploy/prometheus.yml"))["scrape_configs"][0]
        assert scraped["authorization"]["credentials_file"] == file


@pytest.mark.needs("yaml")
def test_front_matter_is_up_to_date():
    """The front matter of the model card says what the card in the model file says."""
    command = [sys.executable, "deploy/front_matter.py", "--check"]
    assert subprocess.run(command, cwd=REPOSITORY, timeout=120).returncode == 0


def test_llms_txt_names_every_page():
    """The index for language models leads to every page, each of which exists."""
    linked = set(re.findall(r"\]\(([^)]+)\)", read("llms.txt")))
    pages = {
        path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs").rglob("*.md")
    }
    assert pages <= linked
    assert all((REPOSITORY / target).exists() for target in linked)


@pytest.mark.needs("mkdocs")
def test_site_is_built_without_a_warning(tmp_path: Path):
    """The documentation site has every page, and each of its links and anchors leads somewhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for page in ("", "MODEL_CARD", "reference", "tutorials/student"):
        assert "<h1" in (tmp_path / page / "index.html").read_text(encoding="utf-8")
    reference = (tmp_path / "reference/index.html").read_text(encoding="utf-8")
    assert "emovox.Recognizer.predict" in reference
