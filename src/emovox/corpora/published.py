"""The published corpora: how their files are named, their labels, terms and addresses."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from .table import enclosed_table, years
from .utterance import CorpusSpec, Download, Parsed


def _named(
    pattern: str, read: Callable[[re.Match[str]], Parsed]
) -> Callable[[Path], Parsed | None]:
    """Return a parser of paths that end, the suffix left out, in a pattern of any case."""
    compiled = re.compile(f"(?s:.*/)?{pattern}", re.IGNORECASE)

    def parse(path: Path) -> Parsed | None:
        match = compiled.fullmatch(path.with_suffix("").as_posix())
        return match and read(match)

    return parse


def _tess(match: re.Match[str]) -> Parsed:
    speaker, word, label = match[1].upper() + "F", match[2].lower(), match[3].lower()
    if "surprise" in label:
        label = "ps"
    return Parsed(label, speaker, word, "female", key=f"{speaker}_{word}_{label}")


def _all_of_tess(_root: Path, keys: frozenset[str]) -> frozenset[str]:
    words = {key.split("_")[1] for key in keys}
    return frozenset(
        f"{who}_{word}_{label}" for who in ("OAF", "YAF") for word in words for label in TESS.labels
    )


TESS = CorpusSpec(
    name="tess",
    title="Toronto Emotional Speech Set (TESS)",
    language="en",
    labels={
        "angry": "angry",
        "disgust": "disgust",
        "fear": "fear",
        "happy": "happy",
        "neutral": "neutral",
        "ps": "surprise",  # "pleasant surprise"
        "sad": "sad",
    },
    # A file as published is named OA_bite_neutral: without the F to be optional, a third speaker.
    parse=_named("(OA|YA)F?_([^_/]+)_([^/]+)", _tess),
    licence="CC BY-NC-ND 4.0",
    citation="Pichora-Fuller and Dupuis 2010, doi:10.5683/SP2/E8H2MF",
    homepage="https://doi.org/10.5683/SP2/E8H2MF",
    n_expected=2_800,
    expected=_all_of_tess,
    ages=lambda _root: {"OAF": 64, "YAF": 26},
    # Dataverse makes this archive anew for each request: it has no checksum.
    download=Download(
        "https://borealisdata.ca/api/access/dataset/:persistentId/"
        "?persistentId=doi:10.5683/SP2/E8H2MF"
    ),
)


def _ravdess(match: re.Match[str]) -> Parsed:
    label, statement, actor = match.groups()
    sex = "male" if int(actor) % 2 else "female"
    return Parsed(label, actor, statement, sex, key=PurePosixPath(match[0]).name)


def _all_of_ravdess(_root: Path, _keys: frozenset[str]) -> frozenset[str]:
    return frozenset(
        f"03-01-{label}-{intensity}-{statement}-{repetition}-{actor:02}"
        for label in RAVDESS.labels
        for intensity in (("01",) if label == "01" else ("01", "02"))  # neutral is never strong
        for statement in ("01", "02")
        for repetition in ("01", "02")
        for actor in range(1, 25)
    )


RAVDESS = CorpusSpec(
    name="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), speech",
    language="en",
    labels={
        "01": "neutral",
        "02": "calm",
        "03": "happy",
        "04": "sad",
        "05": "angry",
        "06": "fear",
        "07": "disgust",
        "08": "surprise",
    },
    # Modality 03 is audio alone, channel 01 is speech: song (02) and film (01, 02) do not belong.
    parse=_named(r"03-01-(\d\d)-0[12]-(0[12])-0[12]-(\d\d)", _ravdess),
    licence="CC BY-NC-SA 4.0",
    citation="Livingstone and Russo 2018, doi:10.1371/journal.pone.0196391",
    homepage="https://doi.org/10.5281/zenodo.1188976",
    n_expected=1_440,
    expected=_all_of_ravdess,
    download=Download(
        "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
        "md5:bc696df654c87fed845eb13823edef8a",
        208_468_073,
    ),
)


def _emodb(match: re.Match[str]) -> Parsed:
    speaker, sentence, label = match[1], match[2].lower(), match[3].upper()
    women, men = ("08", "09", "13", "14", "16"), ("03", "10", "11", "12", "15")
    sex = "female" if speaker in women else "male" if speaker in men else ""
    return Parsed(label, speaker, sentence, sex, key=PurePosixPath(match[0]).name.lower())


EMODB = CorpusSpec(
    name="emodb",
    title="Berlin Database of Emotional Speech (EmoDB)",
    language="de",
    labels={
        "w": "angry",  # Wut
        "l": "boredom",  # Langeweile
        "e": "disgust",  # Ekel
        "a": "fear",  # Angst
        "f": "happy",  # Freude
        "t": "sad",  # Trauer
        "n": "neutral",
    },
    parse=_named(r"(\d\d)([ab]\d\d)([a-z])[a-z]?", _emodb),
    licence="free to use; cite the publication",
    citation="Burkhardt et al. 2005, doi:10.21437/Interspeech.2005-446",
    homepage="http://emodb.bilderbar.info",
    n_expected=535,
    download=Download("http://emodb.bilderbar.info/download/download.zip"),
)


def _nemo(match: re.Match[str]) -> Parsed:
    speaker, label, sentence = match[1].upper(), match[2].lower(), match[3]
    return Parsed(label, speaker, sentence, key=f"{speaker}_{label}_{sentence}")


def _nemo_rows(root: Path) -> Iterator[dict[str, str]]:
    columns = ("file_id", "speaker_id", "gender", "age")
    return enclosed_table(root, "data.tsv", columns, delimiter="\t")


def _nemo_sexes(root: Path) -> Mapping[str, str]:
    return {row["speaker_id"].upper(): row["gender"].lower() for row in _nemo_rows(root)}


def _nemo_ages(root: Path) -> Mapping[str, int]:
    found = {row["speaker_id"].upper(): years(row["age"]) for row in _nemo_rows(root)}
    return {speaker: age for speaker, age in found.items() if age is not None}


def _all_of_nemo(root: Path, _keys: frozenset[str]) -> frozenset[str]:
    # The table says .wav whatever the files were stored as: names are compared without a suffix.
    parsed = (NEMO.parse(Path(row["file_id"])) for row in _nemo_rows(root))
    return frozenset(one.key for one in parsed if one)


NEMO = CorpusSpec(
    name="nemo",
    title="nEMO, a dataset of emotional speech in Polish",
    language="pl",
    labels={
        "anger": "angry",
        "fear": "fear",
        "happiness": "happy",
        "neutral": "neutral",
        "sadness": "sad",
        "surprised": "surprise",
    },
    parse=_named(r"([A-Z]{2}\d)_([a-z]+)_(\d+)", _nemo),
    licence="CC BY-NC-SA 4.0",
    citation="Christop 2024, nEMO: Dataset of Emotional Speech in Polish, LREC-COLING",
    homepage="https://github.com/amu-cai/nEMO",
    n_expected=4_481,
    expected=_all_of_nemo,
    sexes=_nemo_sexes,
    ages=_nemo_ages,
    download=Download("https://github.com/amu-cai/nEMO/archive/refs/heads/main.zip"),
)


def _crema_d(match: re.Match[str]) -> Parsed:
    actor, sentence, label, _level = match.groups()
    return Parsed(label.upper(), actor, sentence.upper(), key=PurePosixPath(match[0]).name.upper())


def _crema_d_sexes(root: Path) -> Mapping[str, str]:
    rows = enclosed_table(root, "VideoDemographics.csv", ("ActorID", "Sex"))
    return {row["ActorID"]: row["Sex"].lower() for row in rows}


CREMA_D = CorpusSpec(
    name="crema-d",
    title="Crowd-sourced Emotional Multimodal Actors Dataset (CREMA-D)",
    language="en",
    labels={
        "ang": "angry",
        "dis": "disgust",
        "fea": "fear",
        "hap": "happy",
        "neu": "neutral",
        "sad": "sad",
    },
    parse=_named(r"(1\d{3})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})", _crema_d),
    licence="Open Database License (ODbL) 1.0",
    citation="Cao et al. 2014, doi:10.1109/TAFFC.2014.2336244",
    homepage="https://github.com/CheyneyComputerScience/CREMA-D",
    n_expected=7_442,
    sexes=_crema_d_sexes,
    by_hand="its archive holds Git LFS pointers instead of audio; install git-lfs, then run "
    "`git clone https://github.com/CheyneyComputerScience/CREMA-D`",
)


def _savee(match: re.Match[str]) -> Parsed:
    speaker, label, number = match[1].upper(), match[2].lower(), match[3]
    # The first three sentences are the same for every emotion. The neutral ones beyond repeat
    # some that belong to the other emotions, but their names do not tell which.
    sentence = number if int(number) <= 3 else f"{label}{number}"
    return Parsed(label, speaker, sentence, "male", key=f"{speaker}_{label}{number}")


def _all_of_savee(_root: Path, _keys: frozenset[str]) -> frozenset[str]:
    return frozenset(
        f"{speaker}_{label}{number:02}"
        for speaker in ("DC", "JE", "JK", "KL")
        for label in SAVEE.labels
        for number in range(1, 31 if label == "n" else 16)
    )


SAVEE = CorpusSpec(
    name="savee",
    title="Surrey Audio-Visual Expressed Emotion (SAVEE)",
    language="en",
    labels={
        "a": "angry",
        "d": "disgust",
        "f": "fear",
        "h": "happy",
        "n": "neutral",
        "sa": "sad",
        "su": "surprise",
    },
    # `DC_a01` anywhere, or `a01` in a folder named for the speaker.
    parse=_named(r"(DC|JE|JK|KL)[_/]?([a-z]{1,2})(\d\d)", _savee),
    licence="free for research; registration with the University of Surrey",
    citation="Haq and Jackson 2010, Multimodal Emotion Recognition",
    homepage="http://kahlan.eps.surrey.ac.uk/savee/",
    n_expected=480,
    expected=_all_of_savee,
    by_hand="its publisher requires registration; register on its page and unpack the archive",
)


def _emovo(match: re.Match[str]) -> Parsed:
    label, speaker, sentence = (part.lower() for part in match.groups())
    sex = "female" if speaker.startswith("f") else "male"
    return Parsed(label, speaker, sentence, sex, key=f"{label}-{speaker}-{sentence}")


def _all_of_emovo(_root: Path, keys: frozenset[str]) -> frozenset[str]:
    sentences = {key.split("-")[2] for key in keys}
    return frozenset(
        f"{label}-{speaker}-{sentence}"
        for label in EMOVO.labels
        for speaker in ("f1", "f2", "f3", "m1", "m2", "m3")
        for sentence in sentences
    )


EMOVO = CorpusSpec(
    name="emovo",
    title="EMOVO, an Italian emotional speech database",
    language="it",
    labels={
        "dis": "disgust",  # disgusto
        "gio": "happy",  # gioia
        "neu": "neutral",  # neutrale
        "pau": "fear",  # paura
        "rab": "angry",  # rabbia
        "sor": "surprise",  # sorpresa
        "tri": "sad",  # tristezza
    },
    parse=_named(r"([a-z]{3})-([fm][1-3])-([a-z]\d)", _emovo),
    licence="free for research; cite the publication",
    citation="Costantini et al. 2014, EMOVO Corpus: an Italian Emotional Speech Database, LREC",
    homepage="http://voice.fub.it/activities/corpora/emovo/index.html",
    n_expected=588,
    expected=_all_of_emovo,
    by_hand="download the archive from its page and unpack it",
)

SPECS: Mapping[str, CorpusSpec] = MappingProxyType(
    {spec.name: spec for spec in (TESS, RAVDESS, EMODB, NEMO, CREMA_D, SAVEE, EMOVO)}
)
"""The published corpora by name."""
