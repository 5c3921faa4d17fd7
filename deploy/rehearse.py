"""Run the steps of the Dockerfile without Docker, and try the service that they make.

Run as root with ``python deploy/rehearse.py --work FOLDER``; it needs debootstrap, chroot and the
package registries, and takes some minutes. Each stage is a folder, its base image Debian as
debootstrap makes it, without documentation and translations, as the slim images are. The size is
the sum of all files of the last stage. The service then runs in there as the image's user, answers
its health check and recognises a recording. Not rehearsed: the kernel's limits on a container.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_MB = 400
SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "var/cache/apt")
OF_THE_MACHINE = ("etc/resolv.conf", "etc/hosts")  # the network of the machine, as Docker gives it


@dataclass
class Stage:
    """One stage of the build: its folder, and what its instructions have set so far."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def argv(self, command: list[str]) -> list[str]:
        """Return what runs a command in the stage, as its user."""
        words = [f"{name}={value}" for name, value in self.environment.items()]
        inside = f"cd {shlex.quote(self.folder)} && exec {shlex.join(command)}"
        chroot = ["chroot", f"--userspec={self.user}:{self.user}", str(self.root)]
        return [*chroot, "/usr/bin/env", "-i", *words, "/bin/sh", "-c", inside]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions of a Dockerfile, each with its arguments."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def debian(suite: str, base: Path) -> None:
    """Make Debian's base system, once."""
    if (base / "etc/debian_version").exists():
        return
    shutil.rmtree(base, ignore_errors=True)
    subprocess.run(["debootstrap", "--variant=minbase", suite, str(base)], check=True)
    for folder in SLIM:
        shutil.rmtree(base / folder, ignore_errors=True)


def begin(image: str, root: Path, work: Path) -> Stage:
    """Begin a stage on Debian's slim image."""
    name, _, tag = image.partition(":")
    if name != "debian":
        raise SystemExit(f"expected a stage from debian, got {image}")
    suite = tag.removesuffix("-slim")
    debian(suite, work / suite)
    if os.path.ismount(root / "proc"):  # a rehearsal that was killed
        raise SystemExit(f"{root / 'proc'} is still mounted; unmount it first")
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", str(work / suite), str(root)], check=True)
    for name in OF_THE_MACHINE:
        shutil.copy(f"/{name}", root / name)
    return Stage(root, {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"})


def copy(stage: Stage, words: list[str], context: Path) -> None:
    """Copy files of the repository, or of another stage, as COPY does."""
    *sources, target = words
    to = stage.root / (Path(stage.folder) / target).relative_to("/")
    for source in sources:
        path = context / source.lstrip("/")
        into_folder = target.endswith((".", "/"))
        if path.is_dir():
            shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
        else:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to / path.name if into_folder else to)


def build(work: Path) -> Stage:
    """Run all stages; return the last."""
    stages: dict[str, Stage] = {}
    stage = Stage(work)
    for name, rest in instructions((REPOSITORY / "Dockerfile").read_text()):
        print(f"{name} {rest}", flush=True)
        words = rest.split()
        if name == "FROM":
            alias = words[2] if len(words) == 3 else str(len(stages))
            stage = stages[alias] = begin(words[0], work / f"stage-{alias}", work)
        elif name == "COPY" and words[0].startswith("--from="):
            copy(stage, words[1:], stages[words[0].removeprefix("--from=")].root)
        elif name == "COPY":
            copy(stage, words, REPOSITORY)
        elif name == "RUN":
            run_step(stage, rest)
        else:
            configure(stage, name, rest)
    return stage


def configure(stage: Stage, name: str, rest: str) -> None:
    """Follow an instruction that sets something for those after it, or for the image."""
    match name:
        case "WORKDIR":
            stage.folder = rest
            (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        case "ENV":
            stage.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        case "USER":
            stage.user = rest
        case "ENTRYPOINT":
            stage.entrypoint = json.loads(rest)
        case "CMD":
            stage.command = json.loads(rest)
        case "HEALTHCHECK":
            stage.health = json.loads(rest.partition(" CMD ")[2])
        case "EXPOSE":
            pass
        case _:
            raise SystemExit(f"the rehearsal does not know the instruction {name}")


def run_step(stage: Stage, command: str) -> None:
    """Run a step, with what this machine needs to reach the registries, which stays outside."""
    needed = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_"))}
    certificates = stage.root / "etc/ssl/certs/ca-certificates.crt"
    if certificates.exists():
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", certificates)
    whole = Stage(stage.root, needed | stage.environment, stage.folder, stage.user)
    subprocess.run(whole.argv(["/bin/sh", "-c", command]), check=True)


def megabytes(root: Path) -> float:
    """Return the size of all files, each hard link once."""
    seen, total = set(), 0
    for folder, _, names in os.walk(root):
        for name in names:
            status = os.lstat(Path(folder) / name)
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total / 1e6


def try_service(stage: Stage) -> None:
    """Start the service as the image does, wait for its health, and have it recognise."""
    proc = stage.root / "proc"
    subprocess.run(["mount", "--bind", "/proc", str(proc)], check=True)  # as a container has it
    process = subprocess.Popen(stage.argv([*stage.entrypoint, *stage.command]))
    try:
        for _ in range(60):
            if subprocess.run(stage.argv(stage.health), capture_output=True).returncode == 0:
                break
            time.sleep(0.5)
        else:
            raise SystemExit("the service did not become healthy within 30 s")
        owner = Path(f"/proc/{process.pid}").stat().st_uid
        print(f"healthy; runs as user {owner}")
        if owner == 0:
            raise SystemExit("the service runs as root")
        request = urllib.request.Request(
            "http://127.0.0.1:8000/v1/predict",
            (REPOSITORY / "examples/even.flac").read_bytes(),
            {"Content-Type": "audio/flac"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            print(json.load(answer)["prediction"])
    finally:
        process.terminate()
        code = process.wait(20)
        subprocess.run(["umount", str(proc)], check=True)
    print(f"ended with {code}")


def main() -> None:
    """Build, weigh and try."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="keeps the base system")
    work = parser.parse_args().work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    stage = build(work)
    size = megabytes(stage.root)
    print(f"{size:.0f} MB in all files of the image; at most {MOST_MB}")
    try_service(stage)
    if size > MOST_MB:
        sys.exit("the image is too large")


if __name__ == "__main__":
    main()
