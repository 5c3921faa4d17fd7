"""Build what a release would publish, check it, and name it; nothing is published.

Run with ``python deploy/release.py --out FOLDER`` on a clean checkout. Checked are: the version,
its date in CHANGELOG.md and the tag agree; the texts of the distributions are such that an index
shows them; the wheel, installed in an environment of its own, recognises a recording. At the end
come the files with their sizes and hashes, and the commands that would publish them.
"""

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

from emovox.version import __version__

REPOSITORY = Path(__file__).resolve().parent.parent
NPM = REPOSITORY / "packages" / "emovox"


def problems() -> Iterator[str]:
    """Yield what stands in the way of releasing this checkout."""
    if output("git", "status", "--porcelain"):
        yield "there are changes that are not committed"
    if output("git", "tag", "--points-at", "HEAD") != f"v{__version__}":
        yield f"this commit has no tag v{__version__}"
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.M):
        yield f"CHANGELOG.md has no date for {__version__}"
    if NPM.exists():
        version = json.loads((NPM / "package.json").read_text())["version"]
        if version != __version__:
            yield f"packages/emovox has the version {version}, the package {__version__}"


def output(*command: str) -> str:
    """Run a command in the repository and return what it prints."""
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def build(out: Path) -> list[Path]:
    """Build the distributions, and the npm package where npm is installed."""
    shutil.rmtree(out, ignore_errors=True)
    output(sys.executable, "-m", "build", "--outdir", str(out))
    output(sys.executable, "-m", "twine", "check", "--strict", *map(str, out.iterdir()))
    if NPM.exists() and shutil.which("npm"):
        output("npm", "pack", "--silent", f"--pack-destination={out}", str(NPM))
    return sorted(out.iterdir())


def try_wheel(wheel: Path, folder: Path) -> str:
    """Install the wheel in an environment of its own, and recognise a recording there."""
    venv.create(folder, with_pip=True, clear=True)
    python = str(folder / "bin" / "python")
    pins = REPOSITORY / "constraints.txt"
    output(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary=:all:",
        "-c",
        str(pins),
        str(wheel),
    )
    answer = output(str(folder / "bin" / "emovox"), "predict", "examples/even.flac", "--json")
    return str(json.loads(answer)[0]["label"])


def main() -> None:
    """Build, check and name."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--rehearse", action="store_true", help="go on although something is missing"
    )
    options = parser.parse_args()
    out = options.out.resolve()
    found = list(problems())
    for problem in found:
        print(f"not ready: {problem}", file=sys.stderr)
    if found and not options.rehearse:
        sys.exit(1)
    files = build(out / "dist")
    (wheel,) = (file for file in files if file.suffix == ".whl")
    print(f"{wheel.name} hears examples/even.flac as {try_wheel(wheel, out / 'environment')}")
    for file in files:
        print(f"{file.name}  {file.stat().st_size:,} bytes  sha256 {_sha256(file)}")
    print("\nNothing was published. These commands would do it:")
    print(f"  twine upload {out}/dist/*.whl {out}/dist/*.tar.gz")
    if NPM.exists():
        print(f"  npm publish {out}/dist/*.tgz")
    print(f"  docker build -t emovox:{__version__} . && docker push emovox:{__version__}")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
