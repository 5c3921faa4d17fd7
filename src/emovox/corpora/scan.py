"""Scan a corpus's folder: read file names, find copies, missing and foreign files."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..audio import audio_files
from ..errors import AudioError, CorpusError
from ..sound import open_sound
from .utterance import Corpus, CorpusSpec, Parsed, Problem, Utterance

Progress = Callable[[int, int], None]

N_NAMED = 10  # files named in the text of a problem; its `files` hold all
POINTER = b"version https://git-lfs"  # begins a file that git-lfs did not fetch
_COMPARED_FIRST = 1 << 10  # samples
_BLOCK = 1 << 16  # samples compared at a time
LOSSY = frozenset({".mp3", ".ogg", ".oga", ".opus"})


@dataclass(frozen=True)
class _Member:
    """A file of the corpus, with its parsed name and the digest of its content."""

    file: Path
    parsed: Parsed
    digest: str

    @property
    def key(self) -> str:
        parsed = self.parsed
        return parsed.key or "\0".join((parsed.label, parsed.speaker, self.digest))


def scan(spec: CorpusSpec, root: Path, on_progress: Progress | None = None) -> Corpus:
    """Load the corpus `spec` describes from the folder `root`.

    Parameters
    ----------
    spec : CorpusSpec
        Describes the file names and the complete corpus.
    root : Path
        A folder; the audio may lie at any depth below it.
    on_progress : callable, optional
        Called with (files read, total files).

    Returns
    -------
    corpus : Corpus
        Utterances sorted by their path below `root`.

    Raises
    ------
    CorpusError
        If the folder is missing, is no folder, or holds no recording of the corpus.
    """
    root = existing_folder(spec.name, root)
    files = audio_files(root)
    if not files:
        raise CorpusError(f"{spec.name}: expected recordings below {root}, found no audio file")
    parsed, foreign = _parse_names(spec, root, files)
    labelled, unmapped = _map_labels(spec, parsed)
    digests, pointers = _read(list(labelled), on_progress)
    members = [_Member(file, labelled[file], digest) for file, digest in digests.items()]
    kept, copies = _without_copies(root, members)
    sexes = spec.sexes(root) if spec.sexes else {}
    utterances = tuple(_utterance(spec, sexes, member) for member in kept)
    problems = (
        *copies,
        *_unmapped_problem(root, unmapped),
        *_foreign_problem(root, foreign),
        *_pointer_problem(root, pointers),
    )
    if not utterances:
        raise _nothing_found(spec, root, problems)
    problems = (*problems, *_missing(spec, root, kept), *identical_recordings(utterances, root))
    return Corpus(spec.name, root, utterances, problems, spec.n_expected)


def existing_folder(name: str, root: Path) -> Path:
    """Return `root` as an absolute path, or raise a CorpusError if it is no folder."""
    root = absolute(name, root)
    if not root.exists():
        raise CorpusError(f"{name}: no such folder: {root}")
    if not root.is_dir():
        raise CorpusError(f"{name}: expected a folder, got a file: {root}")
    return root


def absolute(name: str, path: Path) -> Path:
    """Return an absolute path, "~" filled in, or raise a CorpusError if it is unusable."""
    try:
        path = path.expanduser().resolve()
        path.exists()  # fails for a name too long
    except (OSError, RuntimeError, ValueError):  # no such user, a loop of links, a null byte
        raise CorpusError(f"{name}: not a usable path: {str(path)[:200]!r}") from None
    return path


def digest_of(file: Path) -> str:
    """Return the sha256 of a file's bytes in hexadecimal digits."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise CorpusError(f"cannot read {file}: {error.strerror}") from None


def digests_of_samples(digests: dict[Path, str]) -> dict[Path, str]:
    """Give files that hold the same samples one digest, that of the first: FLAC beside WAV.

    Only files that begin alike are decoded. Lossy ones are told apart by their bytes alone.
    """
    by_beginning = defaultdict(list)
    for file in digests:
        by_beginning[_beginning(file)].append(file)
    by_beginning.pop(None, None)
    merged = dict(digests)
    for files in by_beginning.values():
        if len({digests[file] for file in files}) > 1:
            first: dict[str, str] = {}
            for file in files:
                merged[file] = first.setdefault(_samples_of(file), digests[file])
    return merged


def _beginning(file: Path) -> tuple[int | None, int, int, bytes] | None:
    """Return length, rate, channels and first samples; None for lossy and unreadable files."""
    if file.suffix.lower() in LOSSY:
        return None
    try:
        with open_sound(file, str(file)) as sound:
            first = sound.read(_COMPARED_FIRST).tobytes()
            return sound.frames, sound.samplerate, sound.channels, first
    except AudioError:
        return None


def _samples_of(file: Path) -> str:
    """Return a digest of the samples, or the name of a broken file, which equals no other."""
    digest = hashlib.sha256()
    try:
        with open_sound(file, str(file)) as sound:
            while (samples := sound.read(_BLOCK)).size:
                digest.update(samples.tobytes())
            return str(file) if sound.broken else digest.hexdigest()
    except AudioError:
        return str(file)


def identical_recordings(utterances: Sequence[Utterance], root: Path) -> Iterator[Problem]:
    """Yield a problem naming the utterances that are one and the same recording."""
    by_digest = defaultdict(list)
    for utterance in utterances:
        by_digest[utterance.digest].append(relative_name(utterance.file, root))
    groups = [names for names in by_digest.values() if len(names) > 1]
    if groups:
        examples = "; ".join(" = ".join(names) for names in groups[:N_NAMED])
        yield Problem(
            "identical",
            f"{count(len(groups), 'recording')} under more than one name (kept; no split puts "
            f"them on two sides): {examples}{_more(len(groups))}",
            tuple(name for names in groups for name in names),
        )


def relative_name(file: Path, root: Path) -> str:
    """Return a file's path below `root` with forward slashes, or whole if it lies elsewhere."""
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def count(number: int, thing: str) -> str:
    """Return "1 clip" or "2,000 clips"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def named(names: Sequence[str]) -> str:
    """List the first few names and say how many more there are."""
    return ", ".join(names[:N_NAMED]) + _more(len(names))


def _more(number: int) -> str:
    return f" and {number - N_NAMED:,} more" if number > N_NAMED else ""


def _parse_names(
    spec: CorpusSpec, root: Path, files: Iterable[Path]
) -> tuple[dict[Path, Parsed], list[Path]]:
    names, foreign = {}, []
    for file in files:
        parsed = spec.parse(file.relative_to(root))
        if parsed is None:
            foreign.append(file)
        else:
            names[file] = parsed
    return names, foreign


def _map_labels(
    spec: CorpusSpec, names: dict[Path, Parsed]
) -> tuple[dict[Path, Parsed], dict[Path, str]]:
    labelled, unmapped = {}, {}
    for file, parsed in names.items():
        if spec.labels.get(parsed.label.lower()) is None:
            unmapped[file] = parsed.label
        else:
            labelled[file] = parsed
    return labelled, unmapped


def _read(
    files: Sequence[Path], on_progress: Progress | None
) -> tuple[dict[Path, str], list[Path]]:
    """Hash the files; list Git LFS pointers separately."""
    digests, pointers = {}, []
    for done, file in enumerate(files, start=1):
        digest = digest_of(file)
        if _is_pointer(file):
            pointers.append(file)
        else:
            digests[file] = digest
        if on_progress:
            on_progress(done, len(files))
    return digests_of_samples(digests), pointers


def _is_pointer(file: Path) -> bool:
    if file.stat().st_size > 1_000:
        return False
    return file.read_bytes().startswith(POINTER)


def _without_copies(root: Path, members: list[_Member]) -> tuple[list[_Member], list[Problem]]:
    """Keep one file of each utterance: the first by path, lossless ones before lossy ones."""
    first: dict[str, _Member] = {}
    same: list[tuple[Path, Path]] = []
    other: list[tuple[Path, Path]] = []
    for member in sorted(members, key=lambda member: member.file.suffix.lower() in LOSSY):
        kept = first.setdefault(member.key, member)
        if kept is not member:
            (same if kept.digest == member.digest else other).append((member.file, kept.file))
    problems = [
        *_copies_problem(root, same, "second copies of files that are there"),
        *_copies_problem(
            root, other, "other versions (their bytes differ) of utterances that are there"
        ),
    ]
    kept_files = {member.file for member in first.values()}
    return [member for member in members if member.file in kept_files], problems


def _copies_problem(root: Path, pairs: list[tuple[Path, Path]], kind: str) -> Iterator[Problem]:
    if not pairs:
        return
    names = sorted((relative_name(copy, root), relative_name(kept, root)) for copy, kept in pairs)
    copy, kept = names[0]
    text = f"{count(len(names), 'file')} left out, {kind}: {copy} beside {kept}"
    text += f", and {len(names) - 1:,} more" if len(names) > 1 else ""
    yield Problem("copy", text, tuple(name for name, _ in names))


def _unmapped_problem(root: Path, unmapped: dict[Path, str]) -> Iterator[Problem]:
    if unmapped:
        counts = sorted(Counter(label.lower() for label in unmapped.values()).items())
        labels = [f'"{label}" ({number:,})' for label, number in counts]
        yield Problem(
            "unmapped",
            f"{count(len(unmapped), 'file')} left out, with labels outside the vocabulary: "
            f"{named(labels)}",
            tuple(sorted(relative_name(file, root) for file in unmapped)),
        )


def _foreign_problem(root: Path, foreign: list[Path]) -> Iterator[Problem]:
    if foreign:
        names = [relative_name(file, root) for file in foreign]
        yield Problem(
            "foreign",
            f"{count(len(names), 'audio file')} left out, not named as the corpus's speech "
            f"recordings are: {named(names)}",
            tuple(names),
        )


def _pointer_problem(root: Path, pointers: list[Path]) -> Iterator[Problem]:
    if pointers:
        names = [relative_name(file, root) for file in pointers]
        yield Problem(
            "unreadable",
            f"{count(len(names), 'file')} left out: Git LFS pointers in place of audio; run "
            f"`git lfs pull` in a clone of the corpus: {named(names)}",
            tuple(names),
        )


def _missing(spec: CorpusSpec, root: Path, kept: list[_Member]) -> Iterator[Problem]:
    """Name the utterances that are missing from this copy, as far as their names are known."""
    keys = frozenset(member.key for member in kept)
    expected = spec.expected(root, keys) if spec.expected else keys
    missing = sorted(expected - keys)
    total = max(spec.n_expected, len(expected))
    n_missing = total - len(keys)
    if not spec.n_expected or n_missing <= 0:
        return
    text = f"{len(keys):,} of {total:,} utterances are here"
    if missing:
        text += f"; missing: {named(missing)}"
    if missing and n_missing > len(missing):
        text += f"; and {n_missing - len(missing):,} that cannot be named"
    yield Problem("missing", text, tuple(missing))


def _nothing_found(spec: CorpusSpec, root: Path, problems: Sequence[Problem]) -> CorpusError:
    why = "; ".join(problem.text for problem in problems) or "no audio file"
    return CorpusError(f"{spec.name}: found no recording of {spec.title} below {root}: {why}")


def _utterance(spec: CorpusSpec, sexes: Mapping[str, str], member: _Member) -> Utterance:
    parsed = member.parsed
    emotion = spec.labels[parsed.label.lower()]
    assert emotion is not None  # unmapped labels were set apart before
    return Utterance(
        file=member.file,
        emotion=emotion,
        speaker=parsed.speaker,
        sentence=parsed.sentence,
        corpus=spec.name,
        language=spec.language,
        sex=parsed.sex or sexes.get(parsed.speaker, ""),
        digest=member.digest,
    )
