"""A whole run: recordings chosen, changed and answered, findings, audit.json and the page."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ..audio import load_audio
from ..corpora import Corpus, Problem, Utterance
from ..errors import AudioError, ConfigError, CorpusError, ModelError
from ..evaluation import perturbations
from ..evaluation.report import check_libraries
from ..evaluation.run import Console, Learned, corpus_facts, load_tested
from ..files import write_text
from ..prosody import measure
from . import fairness, findings, scene, suite, wording
from .examples import Sounds, write_examples
from .findings import OUTCOMES, Finding, Heard
from .ledger import Key, Ledger, open_ledger
from .measures import Answers, answers_of
from .page import write_page
from .scene import noise_files, other_voices, scene_of
from .selection import selected
from .subjects import Answer, Subject
from .suite import Test, changes, chosen_groups

Task = TypeVar("Task")
Result = TypeVar("Result")

QUIET = Console()  # shows nothing
REPORT, PAGE = "audit.json", "audit.html"
_WORDING = "wording"  # where the answers to synthesised sentences stand in the place of a corpus


@dataclass(frozen=True)
class Request:
    """What to test a model with.

    `sources` are corpora, each "NAME=PATH"; `limit` is how many recordings of each to take, None
    for all; `groups` are names of `suite.GROUPS`, empty for all; `noise` is a folder of real
    background, of which those recordings are taken whose names begin with one of `prefixes`;
    `seed` draws recordings and changes; `examples` is whether to write sounds beside the page.
    """

    sources: tuple[str, ...]
    limit: int | None = None
    groups: tuple[str, ...] = ()
    noise: Path | None = None
    prefixes: tuple[str, ...] = ()
    seed: int = 0
    examples: bool = False


@dataclass(frozen=True)
class Chosen:
    """The recordings of a corpus that are tested, and all of it, for other people's voices."""

    corpus: str
    utterances: tuple[Utterance, ...]
    everybody: tuple[Utterance, ...]


@dataclass(frozen=True)
class Bench:
    """What the answers of a run come from: a model, the tests made with it, and noises."""

    subject: Subject
    tests: tuple[Test, ...]
    noises: tuple[Path, ...]
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What a run came to: the content of audit.json, and the findings in it."""

    report: dict[str, Any]
    findings: tuple[Finding, ...]


def audit(
    subject: Subject,
    request: Request,
    out: Path,
    *,
    console: Console = QUIET,
    command: str = "",
) -> Outcome:
    """Test a model, write audit.json and audit.html, and return what was found.

    An interrupted run goes on where it was: answers are kept in `out` as they come.

    Parameters
    ----------
    subject : Subject
    request : Request
    out : Path
        A folder, made if it is missing.
    console : Console
    command : str
        The command line, for the report.

    Raises
    ------
    EmovoxError
        If the request cannot be met, `out` holds answers of another model or of other tests, or a
        library of the extra `report` is not installed.
    OSError
        If `out` cannot be written.
    """
    check_libraries()
    groups = chosen_groups(request.groups)
    everything = changes(request.groups)
    noises = noise_files(request.noise, request.prefixes)
    lacking = {test.name: why for test in everything if (why := _lacking(test, subject, noises))}
    tests = tuple(test for test in everything if test.name not in lacking)
    bench = Bench(subject, tests, noises, request.seed)
    corpora, chosen, counts = _chosen(subject, request, console)
    with open_ledger(out, _facts(bench)) as ledger:
        problems = _answer_all(bench, chosen, ledger, console)
        spoken = _answer_sentences(subject, ledger, console) if _WORDING in groups else {}
        heard = [_heard(bench, one, ledger, pitched="fairness" in groups) for one in chosen]
        found = [
            *_clean_findings(heard, groups),
            *_wording_findings(subject, spoken, groups),
            *_change_findings(bench, everything, lacking, heard, ledger),
        ]
    report = {
        "model": {
            "name": subject.name,
            "fingerprint": subject.fingerprint,
            "labels": list(subject.labels),
        },
        "command": command,
        "settings": {**asdict(request), "noise": str(request.noise or "")},
        **counts,
        **corpus_facts(corpora, problems),
        "recordings": {one.corpus: len(one.utterances) for one in heard},
        "summary": summary_of(found),
        "findings": [_plain(finding) for finding in found],
    }
    sounds = _sounds(bench, chosen, found, out) if request.examples else {}
    write_text(out / REPORT, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    write_page(out / PAGE, report, found, heard, sounds)
    return Outcome(report, tuple(found))


def summary_of(found: Sequence[Finding]) -> dict[str, dict[str, int]]:
    """Count findings by group and outcome: passed, failed, told (no threshold), not measured."""
    table: dict[str, dict[str, int]] = {}
    for finding in found:
        row = table.setdefault(finding.group, dict.fromkeys(OUTCOMES, 0))
        row[finding.outcome] += 1
    return {group: table[group] for group in suite.GROUPS if group in table}


def _lacking(test: Test, subject: Subject, noises: Sequence[Path]) -> str:
    """Return why a test cannot be made; "" where it can."""
    if test.needs == "noises" and not noises:
        return "no folder of noise was given"
    if test.group == "doors" and test.door not in subject.doors:
        return "only models of emovox have this door"
    return ""


def _facts(bench: Bench) -> dict[str, Any]:
    """Return what answers depend on besides the recordings."""
    code = hashlib.sha256()
    for module in (perturbations, scene, suite, wording):
        code.update(Path(str(module.__file__)).read_bytes())
    names = "\n".join(file.name for file in bench.noises)
    return {
        "model": bench.subject.fingerprint,
        "labels": list(bench.subject.labels),
        "seed": bench.seed,
        "noises": hashlib.sha256(names.encode()).hexdigest()[:16],
        "version of the tests": code.hexdigest()[:16],
    }


def _chosen(
    subject: Subject, request: Request, console: Console
) -> tuple[tuple[Corpus, ...], list[Chosen], dict[str, Any]]:
    """Load the corpora and choose recordings of emotions that the model knows."""
    if request.limit is not None and request.limit < 1:
        raise ConfigError(f"expected a limit of at least 1 recording, got {request.limit}")
    learned = Learned(subject.labels, subject.merged)
    corpora, utterances, counted_as = load_tested(request.sources, (), learned, console)
    left_out = dict(Counter(one.emotion for one in utterances if one.emotion not in subject.labels))
    chosen = []
    for corpus in corpora:
        everybody = tuple(one for one in utterances if one.corpus == corpus.name)
        known = [one for one in everybody if one.emotion in subject.labels]
        if not known:
            raise CorpusError(
                f"{corpus.name}: no recording of an emotion that the model knows "
                f"({', '.join(subject.labels)})"
            )
        picked = selected(known, request.limit, request.seed)
        chosen.append(Chosen(corpus.name, picked, everybody))
    return corpora, chosen, {"merged": counted_as, "left_out": left_out}


def _answer_all(
    bench: Bench, chosen: Sequence[Chosen], ledger: Ledger, console: Console
) -> list[Problem]:
    """Answer what the ledger does not hold yet, and return what cannot be read."""
    tasks = [(one, utterance) for one in chosen for utterance in one.utterances]
    n_each, problems = 1 + len(bench.tests), []
    with console.bar("testing (answers)") as on_progress:
        asked = partial(_ask, bench, ledger)
        for done, answers in enumerate(_in_threads(bench.subject.n_threads, asked, tasks), start=1):
            if isinstance(answers, Problem):
                problems.append(answers)
            else:
                ledger.add(answers)
            on_progress(done * n_each, len(tasks) * n_each)
    return problems


def _in_threads(
    n_threads: int, function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[Result]:
    """Call a function for each task in so many threads; what waits is dropped at an error."""
    pool = ThreadPoolExecutor(n_threads)
    try:
        waiting: list[Future[Result]] = [pool.submit(function, task) for task in tasks]
        for future in waiting:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _ask(
    bench: Bench, ledger: Ledger, task: tuple[Chosen, Utterance]
) -> dict[Key, Answer] | Problem:
    """Answer a recording as it is and after each change, where this was not done before."""
    chosen, utterance = task
    recording = _key(utterance)
    missing = [test for test in bench.tests if (recording, test.name) not in ledger]
    is_new = (recording, "") not in ledger
    if not missing and not is_new:
        return {}
    try:
        clip = load_audio(utterance.file)
    except AudioError as error:
        return Problem("unreadable", str(error), (str(utterance.file),))
    answers: dict[Key, Answer] = {}
    try:
        if is_new:
            answers[recording, ""] = bench.subject.answer(clip)
        for test in missing:
            changed = test.apply(clip, _scene(bench, chosen, utterance, test))
            answers[recording, test.name] = bench.subject.answer(changed, test.door)
    except ModelError as error:
        raise ModelError(f"{utterance.file}: {error}") from error
    return answers


def _scene(bench: Bench, chosen: Chosen, utterance: Utterance, test: Test) -> scene.Scene:
    voices = other_voices(utterance, chosen.everybody) if test.needs == "voices" else ()
    return scene_of(bench.seed, test.name, utterance, bench.noises, voices)


def _answer_sentences(
    subject: Subject, ledger: Ledger, console: Console
) -> dict[wording.Spoken, Answer]:
    """Answer the synthesised sentences; none where there is no program that speaks."""
    if not wording.installed():
        console.line(f"{wording.PROGRAM} is not installed: the wording is not tested")
        return {}
    spoken = tuple(wording.sentences())
    waiting = [one for one in spoken if (f"{_WORDING}:{one.key}", "") not in ledger]
    with console.bar("testing (sentences)") as on_progress:
        answers = _in_threads(
            subject.n_threads, lambda one: subject.answer(wording.speak(one)), waiting
        )
        for done, (one, answer) in enumerate(zip(waiting, answers, strict=True), start=1):
            ledger.add({(f"{_WORDING}:{one.key}", ""): answer})
            on_progress(done, len(waiting))
    return {one: ledger[f"{_WORDING}:{one.key}", ""] for one in spoken}


def _heard(bench: Bench, chosen: Chosen, ledger: Ledger, *, pitched: bool) -> Heard:
    """Return the answers to the recordings of a corpus as they are."""
    kept = tuple(one for one in chosen.utterances if (_key(one), "") in ledger)
    if not kept:
        raise CorpusError(f"{chosen.corpus}: none of the recordings could be read")
    pitches = [measure(load_audio(one.file)).pitch_hz or 0.0 if pitched else 0.0 for one in kept]
    answers = _answers(bench.subject, kept, ledger, "")
    return Heard(chosen.corpus, bench.subject.labels, kept, answers, tuple(pitches))


def _answers(
    subject: Subject, utterances: Sequence[Utterance], ledger: Ledger, change: str
) -> Answers:
    found = [ledger[_key(one), change] for one in utterances]
    truth = [subject.labels.index(one.emotion) for one in utterances]
    return answers_of(found, truth, len(subject.labels))


def _clean_findings(heard: Sequence[Heard], groups: Sequence[str]) -> Iterator[Finding]:
    made: dict[str, Callable[[Heard], Iterator[Finding]]] = {
        "correctness": findings.correctness,
        "certainty": findings.certainty,
        "fairness": fairness.fairness,
    }
    for group, find in made.items():
        if group in groups:
            for one in heard:
                yield from find(one)
    if "fairness" in groups:
        yield from fairness.languages(heard)


def _wording_findings(
    subject: Subject, spoken: Mapping[wording.Spoken, Answer], groups: Sequence[str]
) -> Iterator[Finding]:
    for language in dict.fromkeys(one.language for one in spoken):
        here = [one for one in spoken if one.language == language]
        answers = answers_of([spoken[one] for one in here], [0] * len(here), len(subject.labels))
        kinds = [one.wording for one in here]
        yield from fairness.wordings(subject.labels, answers, kinds, language)


def _change_findings(
    bench: Bench,
    tests: Sequence[Test],
    lacking: Mapping[str, str],
    heard: Sequence[Heard],
    ledger: Ledger,
) -> Iterator[Finding]:
    for test in tests:
        for one in heard:
            if why := lacking.get(test.name):
                yield from findings.not_measured(one.corpus, test, why)
            else:
                changed = _answers(bench.subject, one.utterances, ledger, test.name)
                yield from findings.of_change(one, test, changed)


def _sounds(bench: Bench, chosen: Sequence[Chosen], found: Sequence[Finding], out: Path) -> Sounds:
    """Write the worst recordings of each test, before and after its change."""
    utterances = {
        str(utterance.file): (one, utterance) for one in chosen for utterance in one.utterances
    }

    def scene_for(test: Test, file: str) -> scene.Scene:
        return _scene(bench, *utterances[file], test)

    return write_examples(out, bench.tests, found, scene_for)


def _key(utterance: Utterance) -> str:
    return f"{utterance.corpus}:{utterance.digest[:16]}"


def _plain(finding: Finding) -> dict[str, Any]:
    """Return a finding as audit.json has it."""
    limit = finding.limit
    return {
        "corpus": finding.corpus,
        "group": finding.group,
        "test": finding.test,
        "measure": limit.measure,
        "value": finding.value,
        "threshold": limit.bound,
        "at_least": limit.at_least,
        "source": limit.source,
        "outcome": finding.outcome,
        "n": finding.n,
        "note": finding.note,
        "worst": [asdict(case) for case in finding.worst],
    }
