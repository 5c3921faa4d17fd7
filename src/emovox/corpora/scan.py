"""Scan a corpus's folder: read file names, find copies, missing and foreign files."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..audio import OTHER_SUFFIXES, audio_files
from ..errors import AudioError, CorpusError, counted
from ..sound import open_sound
from .labelling import Labelling
from .utterance import Corpus, CorpusSpec, Parsed, Problem, Utterance

Progress = Callable[[int, int], None]

MAX_NAMED = 10  # files named in the text of a problem; its `files` hold all
FOREIGN = "not named as the corpus's speech recordings are"
POINTERS = "Git LFS pointers instead of audio; run `git lfs pull` in a clone of the corpus"
POINTER = b"version https://git-lfs"  # begins a file that git-lfs did not fetch
_COMPARED_FIRST = 1 << 10  # samples
_BLOCK = 1 << 16  # samples compared at a time
LOSSY = OTHER_SUFFIXES | {".mp3", ".ogg", ".oga", ".opus"}


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


def scan(
    spec: CorpusSpec,
    root: Path,
    on_progress: Progress | None = None,
    labelling: Labelling = Labelling(),  # noqa: B008 (frozen)
) -> Corpus:
    """Load the corpus `spec` describes from the folder `root`.

    Parameters
    ----------
    spec : CorpusSpec
        Describes the file names and the complete corpus.
    root : Path
        A folder; the audio may lie at any depth below it.
    on_progress : callable, optional
        Called with (files read, total files).
    labelling : Labelling
        Maps the corpus's emotions, and those of its codes that are none.

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
    labelled, unmapped, foreign = _parse_names(spec, root, files, labelling)
    digests = read_digests(list(labelled), on_progress)
    pointers = {file: relative_name(file, root) for file in digests if _is_pointer(file)}
    audio = digests.keys() - pointers.keys()
    members = [_Member(file, labelled[file], digests[file]) for file in sorted(audio)]
    kept, copies = _without_copies(root, members)
    sexes = spec.sexes(root) if spec.sexes else {}
    ages = spec.ages(root) if spec.ages else {}
    utterances = tuple(_utterance(spec, sexes, ages, member, labelling) for member in kept)
    problems = (
        *copies,
        *_unmapped_problem(unmapped),
        *name_files("foreign", "audio file", f"left out, {FOREIGN}", foreign),
        *name_files("unreadable", "file", f"left out: {POINTERS}", list(pointers.values())),
    )
    if not utterances:
        why = "; ".join(problem.text for problem in problems)
        raise CorpusError(f"{spec.name}: found no recording of {spec.title} below {root}: {why}")
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


def read_digests(files: Sequence[Path], on_progress: Progress | None) -> dict[Path, str]:
    """Return the sha256 of each file's bytes; those of the same samples have that of the first.

    Such are a FLAC file and the WAV file beside it. Only files that begin alike are decoded. Lossy
    ones are told apart by their bytes alone.
    """
    digests = {}
    for done, file in enumerate(files, start=1):
        try:
            with file.open("rb") as stream:
                digests[file] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise CorpusError(f"cannot read {file}: {error.strerror}") from None
        if on_progress:
            on_progress(done, len(files))
    by_beginning = defaultdict(list)
    for file in digests:
        by_beginning[_beginning(file)].append(file)
    by_beginning.pop(None, None)
    merged = dict(digests)
    for alike in by_beginning.values():
        if len({digests[file] for file in alike}) > 1:
            first: dict[str, str] = {}
            for file in alike:
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
        examples = "; ".join(" = ".join(names) for names in groups[:MAX_NAMED])
        yield Problem(
            "identical",
            f"{counted(len(groups), 'recording')} with more than one name (kept; no split puts "
            f"the copies on two sides): {examples}{_more(len(groups))}",
            tuple(name for names in groups for name in names),
        )


def relative_name(file: Path, root: Path) -> str:
    """Return a file's path below `root` with forward slashes, or whole if it lies elsewhere."""
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def name_files(kind: str, noun: str, fault: str, files: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem that counts and names files, if there are any."""
    if files:
        yield Problem(kind, f"{counted(len(files), noun)} {fault}: {named(files)}", tuple(files))


def named(names: Sequence[str]) -> str:
    """List the first few names and say how many more there are."""
    return ", ".join(names[:MAX_NAMED]) + _more(len(names))


def _more(number: int) -> str:
    return f" and {number - MAX_NAMED:,} more" if number > MAX_NAMED else ""


def _parse_names(
    spec: CorpusSpec, root: Path, files: Iterable[Path], labelling: Labelling
) -> tuple[dict[Path, Parsed], dict[str, str], list[str]]:
    """Return the files to read, the labels of those outside the vocabulary, and foreign files."""
    labelled, unmapped, foreign = {}, {}, []
    for file in files:
        parsed = spec.parse(file.relative_to(root))
        if parsed is None:
            foreign.append(relative_name(file, root))
        elif _label(spec, parsed, labelling):
            labelled[file] = parsed
        else:
            unmapped[relative_name(file, root)] = parsed.label.lower()
    return labelled, unmapped, foreign


def _label(spec: CorpusSpec, parsed: Parsed, labelling: Labelling) -> str | None:
    """Return the label of a recording, None for a code that means no emotion and is not mapped."""
    emotion = spec.labels.get(parsed.label.lower())
    if emotion is None and not labelling.maps(parsed.label):
        return None
    return labelling.label(emotion or parsed.label)


def _is_pointer(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(POINTER)) == POINTER


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
        *_copies_problem(root, same, "with the same content as another"),
        *_copies_problem(root, other, "with the same utterance as another, in different bytes"),
    ]
    kept_files = {member.file for member in first.values()}
    return [member for member in members if member.file in kept_files], problems


def _copies_problem(root: Path, pairs: list[tuple[Path, Path]], kind: str) -> Iterator[Problem]:
    if not pairs:
        return
    names = sorted((relative_name(copy, root), relative_name(kept, root)) for copy, kept in pairs)
    copy, kept = names[0]
    text = f"{counted(len(names), 'file')} left out, {kind}: {copy} beside {kept}"
    text += f", and {len(names) - 1:,} more" if len(names) > 1 else ""
    yield Problem("copy", text, tuple(name for name, _ in names))


def _unmapped_problem(unmapped: Mapping[str, str]) -> Iterator[Problem]:
    if unmapped:
        counts = sorted(Counter(unmapped.values()).items())
        labels = named([f'"{label}" ({number:,})' for label, number in counts])
        text = f"{counted(len(unmapped), 'file')} left out, with labels outside the vocabulary"
        yield Problem("unmapped", f"{text}: {labels}", tuple(sorted(unmapped)))


def _missing(spec: CorpusSpec, root: Path, kept: list[_Member]) -> Iterator[Problem]:
    """Name the utterances that are missing from this copy, as far as their names are known."""
    keys = frozenset(member.key for member in kept)
    expected = spec.expected(root, keys) if spec.expected else keys
    missing = sorted(expected - keys)
    total = max(spec.n_expected, len(expected))
    n_missing = total - len(keys)
    if not spec.n_expected or n_missing <= 0:
        return
    text = f"{len(keys):,} of {total:,} utterances found"
    if missing:
        text += f"; missing: {named(missing)}"
    if missing and n_missing > len(missing):
        text += f", and {n_missing - len(missing):,} whose names are not known"
    yield Problem("missing", text, tuple(missing))


def _utterance(
    spec: CorpusSpec,
    sexes: Mapping[str, str],
    ages: Mapping[str, int],
    member: _Member,
    labelling: Labelling,
) -> Utterance:
    parsed = member.parsed
    emotion = _label(spec, parsed, labelling)
    assert emotion is not None  # the others are unmapped
    return Utterance(
        file=member.file,
        emotion=emotion,
        speaker=parsed.speaker,
        sentence=parsed.sentence,
        corpus=spec.name,
        language=spec.language,
        sex=parsed.sex or sexes.get(parsed.speaker, ""),
        digest=member.digest,
        age=ages.get(parsed.speaker),
    )
