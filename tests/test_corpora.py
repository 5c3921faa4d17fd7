"""Corpora: one suite over all of them on fake trees, their own quirks, tables, folders."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emovox.corpora import SPECS, describe, load_corpora, load_corpus, parse_source
from emovox.corpora.utterance import Corpus, Problem
from emovox.emotions import EMOTIONS
from emovox.errors import CorpusError

RATE = 8_000


def record(path: Path, seed: int | None = None) -> Path:
    """Write a tiny recording of noise; each path has its own unless `seed` says otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = seed if seed is not None else list(path.as_posix().encode())
    noise = np.random.default_rng(own).uniform(-0.5, 0.5, 160)
    soundfile.write(path, noise, RATE, format=None if path.suffix != ".opus" else "WAV")
    return path


def record_all(root: Path, names: list[str]) -> None:
    """Write a recording for each name below the folder."""
    for name in names:
        record(root / name)


def problem(corpus: Corpus, kind: str) -> Problem:
    """Return the corpus's one problem of a kind."""
    found = [one for one in corpus.problems if one.kind == kind]
    assert len(found) == 1, corpus.problems
    return found[0]


@dataclass(frozen=True)
class Fake:
    """A small tree of a corpus: its files, one with an unknown label, and what they should say."""

    name: str
    files: list[str]
    unmapped: str
    first: tuple[str, str, str, str]  # emotion, speaker, sentence, sex of the first file
    missing: bool = True  # whether the corpus knows how many utterances it should hold
    extra: Callable[[Path], None] | None = None


def nemo_table(root: Path) -> None:
    """Write nEMO's own table, which names one recording more than there is."""
    rows = ["file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage"]
    for name, speaker, sex in (
        ("AB0_anger_1", "AB0", "female"),
        ("AB0_sadness_1", "AB0", "female"),
        ("CD0_fear_2", "CD0", "male"),
    ):
        rows.append(f"{name}.wav\tx\tx\tx\t        {speaker}\t{sex}\t30")
    (root / "data.tsv").write_text("\n".join(rows), encoding="utf-8")


def crema_d_table(root: Path) -> None:
    """Write CREMA-D's table of actors."""
    text = "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,x,x\n1002,21,Female,x,x\n"
    (root / "VideoDemographics.csv").write_text(text, encoding="utf-8")


FAKES = [
    Fake(
        "tess",
        [
            "OAF_angry/OAF_back_angry.wav",
            "OAF_neutral/OA_bite_neutral.wav",
            "YAF_x/YAF_back_ps.wav",
        ],
        "OAF_bored/OAF_back_bored.wav",
        ("angry", "OAF", "back", "female"),
    ),
    Fake(
        "ravdess",
        ["Actor_01/03-01-05-01-02-01-01.wav", "Actor_02/03-01-02-02-01-02-02.wav"],
        "Actor_01/03-01-09-01-02-01-01.wav",
        ("angry", "01", "02", "male"),
    ),
    Fake(
        "emodb",
        ["wav/03a01Fa.wav", "wav/08a02Wb.wav"],
        "wav/03a01Xa.wav",
        ("happy", "03", "a01", "male"),
    ),
    Fake(
        "nemo",
        ["samples/AB0_anger_1.opus", "samples/CD0_fear_2.opus"],
        "samples/AB0_boredom_1.opus",
        ("angry", "AB0", "1", "female"),
        extra=nemo_table,
    ),
    Fake(
        "crema-d",
        ["AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1002_IEO_SAD_HI.wav"],
        "AudioWAV/1001_DFA_CON_XX.wav",
        ("angry", "1001", "DFA", "male"),
        extra=crema_d_table,
    ),
    Fake(
        "savee",
        ["DC_a05.wav", "JE/sa12.wav", "KL/n03.wav"],
        "DC_x01.wav",
        ("angry", "DC", "a05", "male"),
    ),
    Fake(
        "emovo",
        ["f1/dis-f1-b1.wav", "m2/gio-m2-n4.wav"],
        "f1/xyz-f1-b1.wav",
        ("disgust", "f1", "b1", "female"),
    ),
    Fake(
        "mine",
        ["anger/anna/1.wav", "sad/bob/2.wav"],
        "contempt/anna/3.wav",
        ("angry", "anna", "", ""),
        missing=False,
    ),
]


@pytest.fixture(params=FAKES, ids=lambda fake: fake.name)
def fake(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Fake, Path]:
    """Make the small tree of each corpus in turn."""
    root = tmp_path / "root"
    record_all(root, request.param.files)
    if request.param.extra:
        request.param.extra(root)
    return request.param, root


class TestEveryCorpus:
    """What holds for each corpus alike."""

    def test_reads_labels_speakers_and_sentences(self, fake: tuple[Fake, Path]) -> None:
        """Emotion, speaker, sentence and sex come from the file's name and the corpus's tables."""
        corpus = load_corpus(fake[0].name, fake[1])
        first = corpus.utterances[0]
        assert (first.emotion, first.speaker, first.sentence, first.sex) == fake[0].first
        assert len(corpus.utterances) == len(fake[0].files)

    def test_records_are_complete(self, fake: tuple[Fake, Path]) -> None:
        """Every record has an emotion of the vocabulary, an absolute file and a digest."""
        for one in load_corpus(fake[0].name, fake[1]).utterances:
            assert one.emotion in EMOTIONS
            assert one.file.is_absolute()
            assert one.file.is_file()
            assert len(one.digest) == 64
            assert one.corpus == fake[0].name

    def test_order_is_stable(self, fake: tuple[Fake, Path]) -> None:
        """Utterances are sorted by path, and a second load gives the same."""
        corpus = load_corpus(fake[0].name, fake[1])
        assert list(corpus.utterances) == sorted(corpus.utterances, key=lambda one: one.file)
        assert load_corpus(fake[0].name, fake[1]) == corpus

    def test_progress_reaches_the_total(self, fake: tuple[Fake, Path]) -> None:
        """Loading reports each file once and ends with done == total."""
        seen: list[tuple[int, int]] = []
        load_corpus(fake[0].name, fake[1], on_progress=lambda *step: seen.append(step))
        total = len(fake[0].files)
        assert seen == [(done, total) for done in range(1, total + 1)]

    def test_missing_folder(self, fake: tuple[Fake, Path]) -> None:
        """A folder that is not there is named in one line."""
        with pytest.raises(CorpusError, match=r"no such folder.*nowhere"):
            load_corpus(fake[0].name, fake[1] / "nowhere")

    def test_folder_without_audio(self, fake: tuple[Fake, Path], tmp_path: Path) -> None:
        """A folder without audio is refused, also if it holds other files."""
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "notes.txt").write_text("no audio")
        with pytest.raises(CorpusError, match="found no audio file"):
            load_corpus(fake[0].name, tmp_path / "empty")

    def test_file_in_place_of_folder(self, fake: tuple[Fake, Path]) -> None:
        """A file in place of the folder is refused."""
        with pytest.raises(CorpusError, match="expected a folder, got a file"):
            load_corpus(fake[0].name, fake[1] / fake[0].files[0])

    @pytest.mark.parametrize("fake", FAKES[:-1], ids=lambda fake: fake.name, indirect=True)
    def test_nested_copy_is_left_out(self, fake: tuple[Fake, Path]) -> None:
        """A whole second copy inside the first is found by content, left out and counted."""
        alone = load_corpus(fake[0].name, fake[1])
        for file in fake[0].files:
            copy = fake[1] / "zz copy" / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((fake[1] / file).read_bytes())
        corpus = load_corpus(fake[0].name, fake[1])
        assert corpus.utterances == alone.utterances
        copies = problem(corpus, "copy")
        assert len(copies.files) == len(fake[0].files)
        assert f"{len(fake[0].files)} files" in copies.text
        assert "zz copy" in copies.text

    def test_unmapped_labels_are_counted(self, fake: tuple[Fake, Path]) -> None:
        """A label outside the vocabulary is left out, counted and named."""
        record(fake[1] / fake[0].unmapped)
        corpus = load_corpus(fake[0].name, fake[1])
        assert len(corpus.utterances) == len(fake[0].files)
        unmapped = problem(corpus, "unmapped")
        assert unmapped.files == (fake[0].unmapped,)
        assert "1 file left out" in unmapped.text

    def test_incomplete_corpus_is_reported(self, fake: tuple[Fake, Path]) -> None:
        """A published corpus says how many of its utterances are here."""
        corpus = load_corpus(fake[0].name, fake[1])
        if not fake[0].missing:
            assert not corpus.problems
            return
        expected = SPECS[fake[0].name].n_expected
        text = problem(corpus, "missing").text
        assert text.startswith(f"{len(fake[0].files)} of {expected:,} utterances found")

    def test_foreign_audio_is_counted(self, fake: tuple[Fake, Path]) -> None:
        """Audio whose name says nothing is left out and named."""
        record(fake[1] / "interview.wav")
        corpus = load_corpus(fake[0].name, fake[1])
        assert problem(corpus, "foreign").files == ("interview.wav",)

    def test_summary_is_json(self, fake: tuple[Fake, Path]) -> None:
        """A summary counts the clips in every way and can be written as JSON."""
        summary = describe(load_corpus(fake[0].name, fake[1]))
        n_files = len(fake[0].files)
        assert json.loads(json.dumps(summary)) == summary
        assert summary["n_utterances"] == n_files
        assert sum(summary["emotions"].values()) == n_files
        assert sum(one["clips"] for one in summary["speakers"].values()) == n_files
        assert sum(summary["sexes"].values()) == n_files
        assert summary["rates"] == {str(RATE): n_files}
        assert summary["seconds"]["max"] == pytest.approx(0.02)


class TestTess:
    """TESS's quirks."""

    def test_two_speakers_whatever_the_spelling(self, tmp_path: Path) -> None:
        """Folder names do not matter, case does not, and OA_ is OAF, not a third speaker."""
        names = [
            "OAF_Fear/OAF_bite_fear.wav",
            "OAF_Pleasant_surprise/OAF_bite_ps.wav",
            "YAF_pleasant_surprised/YAF_bite_ps.wav",
            "oaf_neutral/oa_bite_neutral.WAV",
            "YAF_bite_sad.wav",
        ]
        record_all(tmp_path, names)
        corpus = load_corpus("tess", tmp_path)
        assert {one.speaker for one in corpus.utterances} == {"OAF", "YAF"}
        assert len(corpus.utterances) == 5
        assert {one.sentence for one in corpus.utterances} == {"bite"}

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        """Of the words that are there, each missing speaker and emotion is named."""
        for speaker in ("OAF", "YAF"):
            for label in ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"):
                for word in ("back", "beg"):
                    record(tmp_path / f"{speaker}_{word}_{label}.wav")
        (tmp_path / "OAF_back_angry.wav").unlink()
        missing = problem(load_corpus("tess", tmp_path), "missing")
        assert missing.files == ("OAF_back_angry",)
        assert "27 of 2,800" in missing.text
        assert "OAF_back_angry, and 2,772 whose names are not known" in missing.text

    def test_another_version_of_an_utterance(self, tmp_path: Path) -> None:
        """One utterance with two contents: the first by path stays, the other is reported."""
        record(tmp_path / "a" / "OAF_back_sad.wav", seed=1)
        record(tmp_path / "b" / "OAF_back_sad.wav", seed=2)
        corpus = load_corpus("tess", tmp_path)
        assert [one.file.parent.name for one in corpus.utterances] == ["a"]
        assert "different bytes" in problem(corpus, "copy").text

    def test_aiff_named_wav(self, tmp_path: Path) -> None:
        """An AIFF file in a .wav name is read as any other."""
        soundfile.write(tmp_path / "x.aiff", np.full(100, 0.1), RATE)
        (tmp_path / "x.aiff").rename(tmp_path / "YAF_germ_angry.wav")
        assert describe(load_corpus("tess", tmp_path))["rates"] == {str(RATE): 1}


class TestOtherCorpora:
    """The other published corpora's quirks."""

    def test_ravdess_keeps_identical_recordings(self, tmp_path: Path) -> None:
        """Two repetitions that are one recording are both kept and reported."""
        record(tmp_path / "03-01-03-01-02-01-07.wav", seed=7)
        record(tmp_path / "03-01-03-01-02-02-07.wav", seed=7)
        corpus = load_corpus("ravdess", tmp_path)
        assert len(corpus.utterances) == 2
        assert len(problem(corpus, "identical").files) == 2

    def test_ravdess_leaves_out_song_and_film(self, tmp_path: Path) -> None:
        """Song and the sound of films are no speech recordings of RAVDESS."""
        record(tmp_path / "03-01-03-01-02-01-07.wav")
        record(tmp_path / "03-02-03-01-02-01-07.wav")
        record(tmp_path / "01-01-03-01-02-01-07.wav")
        corpus = load_corpus("ravdess", tmp_path)
        assert len(corpus.utterances) == 1
        assert len(problem(corpus, "foreign").files) == 2

    def test_nemo_without_its_table(self, tmp_path: Path) -> None:
        """Without data.tsv nEMO loads all the same; sexes and ages are not told."""
        record(tmp_path / "samples" / "AB0_anger_1.opus")
        (one,) = load_corpus("nemo", tmp_path).utterances
        assert (one.sex, one.age) == ("", None)

    def test_ages(self, tmp_path: Path) -> None:
        """Ages come from nEMO's table; those of the two women of TESS are published."""
        record(tmp_path / "nemo" / "AB0_anger_1.opus")
        nemo_table(tmp_path / "nemo")
        record(tmp_path / "tess" / "OAF_back_angry.wav")
        assert load_corpus("nemo", tmp_path / "nemo").utterances[0].age == 30
        assert load_corpus("tess", tmp_path / "tess").utterances[0].age == 64

    def test_nemo_names_what_its_table_lists(self, tmp_path: Path) -> None:
        """A recording in data.tsv that is not there is named."""
        record(tmp_path / "samples" / "AB0_anger_1.opus")
        record(tmp_path / "samples" / "CD0_fear_2.opus")
        nemo_table(tmp_path)
        assert problem(load_corpus("nemo", tmp_path), "missing").files == ("AB0_sadness_1",)

    def test_crema_d_prefers_lossless(self, tmp_path: Path) -> None:
        """Of an utterance as MP3 and as WAV the WAV stays."""
        record(tmp_path / "AudioMP3" / "1001_DFA_ANG_XX.mp3")
        record(tmp_path / "AudioWAV" / "1001_DFA_ANG_XX.wav")
        corpus = load_corpus("crema-d", tmp_path)
        assert [one.file.suffix for one in corpus.utterances] == [".wav"]
        assert len(problem(corpus, "copy").files) == 1

    def test_git_lfs_pointers(self, tmp_path: Path) -> None:
        """A text that git-lfs left in place of audio is recognised, and says what to do."""
        pointer = tmp_path / "1001_DFA_ANG_XX.wav"
        pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        with pytest.raises(CorpusError, match="git lfs pull"):
            load_corpus("crema-d", tmp_path)

    def test_savee_shares_three_sentences(self, tmp_path: Path) -> None:
        """Sentences 1 to 3 are the same for every emotion, the others are not."""
        record_all(tmp_path, ["DC_a01.wav", "DC_sa01.wav", "DC_a04.wav", "DC_sa04.wav"])
        sentences = [one.sentence for one in load_corpus("savee", tmp_path).utterances]
        assert sentences == ["01", "a04", "01", "sa04"]

    def test_unreadable_files_are_named(self, tmp_path: Path) -> None:
        """A file that is no audio does not stop a summary; it is named."""
        record(tmp_path / "03a01Fa.wav")
        (tmp_path / "03a01Wa.wav").write_text("not audio")
        summary = describe(load_corpus("emodb", tmp_path))
        assert summary["problems"][-1]["kind"] == "unreadable"
        assert summary["problems"][-1]["files"] == ["03a01Wa.wav"]
        assert sum(summary["rates"].values()) == 1


class TestFolder:
    """A user's own folders."""

    def test_speaker_above_label(self, tmp_path: Path) -> None:
        """Where the top folders are speakers and the next ones labels, both are read."""
        record_all(tmp_path, ["anna/angry/1.wav", "bob/Fearful/1.wav", "bob/contempt/1.wav"])
        corpus = load_corpus("mine", tmp_path)
        found = [(one.speaker, one.emotion) for one in corpus.utterances]
        assert found == [("anna", "angry"), ("bob", "fear")]
        assert '"contempt" (1)' in problem(corpus, "unmapped").text

    def test_without_speakers(self, tmp_path: Path) -> None:
        """A folder a label is enough; speakers are then not told."""
        record_all(tmp_path, ["happy/1.wav", "pleasant surprise/1.wav"])
        corpus = load_corpus("mine", tmp_path)
        assert [(one.emotion, one.speaker) for one in corpus.utterances] == [
            ("happy", ""),
            ("surprise", ""),
        ]

    def test_second_copy_beside_the_first(self, tmp_path: Path) -> None:
        """The same bytes twice under one label and speaker are one utterance."""
        record(tmp_path / "happy" / "1.wav", seed=1)
        record(tmp_path / "happy" / "1 copy.wav", seed=1)
        record(tmp_path / "sad" / "1.wav", seed=1)
        corpus = load_corpus("mine", tmp_path)
        assert len(corpus.utterances) == 2
        assert len(problem(corpus, "copy").files) == 1
        assert len(problem(corpus, "identical").files) == 2

    def test_typo_lists_the_known_names(self, tmp_path: Path) -> None:
        """A misspelt corpus name ends in the list of names, not in an empty corpus."""
        record(tmp_path / "OAF_angry" / "OAF_back_angry.wav")
        with pytest.raises(
            CorpusError, match=r'"tes" is not a published corpus \(expected one of tess, '
        ):
            load_corpora([f"tes={tmp_path}"])


def write_table(folder: Path, text: str) -> Path:
    """Write a table and two recordings beside it."""
    record(folder / "a.wav")
    record(folder / "sub" / "b.wav")
    table = folder / "clips.csv"
    table.write_text(text, encoding="utf-8")
    return table


class TestTable:
    """A user's own table."""

    def test_all_columns(self, tmp_path: Path) -> None:
        """All columns are read, whatever their case, with a byte order mark, others ignored."""
        table = write_table(
            tmp_path,
            "\ufeffFILE,Emotion,Speaker,sentence,Split,sex,language,age,note\n"
            "sub/b.wav,Anger,anna,s1,dev,F,DE,37,x\n"
            "a.wav,joy,bob,s2,Train,male,,young,\n",
        )
        first, second = load_corpus("mine", table).utterances
        assert (first.file, first.emotion, first.subset) == (tmp_path / "a.wav", "happy", "train")
        assert (second.emotion, second.speaker, second.sentence) == ("angry", "anna", "s1")
        assert (second.subset, second.sex, second.language) == ("val", "female", "de")
        assert (first.age, second.age) == (None, 37)

    def test_optional_columns(self, tmp_path: Path) -> None:
        """File and emotion are enough."""
        table = write_table(tmp_path, "file,emotion\na.wav,sad\n")
        (one,) = load_corpus("mine", table).utterances
        assert (one.speaker, one.sentence, one.subset, one.sex) == ("", "", "", "")

    def test_repeated_row(self, tmp_path: Path) -> None:
        """A row that repeats another is left out and counted."""
        table = write_table(tmp_path, "file,emotion\na.wav,sad\n./a.wav,sad\n")
        corpus = load_corpus("mine", table)
        assert len(corpus.utterances) == 1
        assert "1 repeated row " in problem(corpus, "copy").text

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", 'expected a column "file".*an empty file'),
            ("path,emotion\na.wav,sad\n", 'expected a column "file".*found path, emotion'),
            ("file,label\na.wav,sad\n", 'expected a column "emotion"'),
            ("file,emotion,Emotion\na.wav,sad,sad\n", "same name"),
            ("file,emotion\n", "no rows"),
            ("file,emotion\n,sad\n", "no file name in line 2"),
            ("file,emotion\na.wav,sad,x\n", "expected 2 cells in line 2"),
            ("file,emotion\na.wav,contempt\n", 'unknown emotion "contempt" in line 2.*boredom'),
            ("file,emotion,split\na.wav,sad,exam\n", 'unknown split "exam" in line 2'),
            ("file,emotion\na.wav,sad\nno.wav,sad\n", r"1 of 2 files do not exist.*no\.wav"),
            ("file,emotion\na.wav,sad\na.wav,joy\n", "lines 2 and 3 disagree about a.wav"),
            ('file,emotion\n"a.wav,sad\n', "not a well-formed CSV"),
            ("file,emotion\na\0.wav,sad\n", "not a usable path|not a well-formed CSV"),
            (f"file,emotion\n{'a' * 5000}.wav,sad\n", "not a usable path"),
        ],
    )
    def test_malformed(self, tmp_path: Path, text: str, message: str) -> None:
        """Each way to get a table wrong has its own one-line error."""
        with pytest.raises(CorpusError, match=message) as error:
            load_corpus("mine", write_table(tmp_path, text))
        assert "\n" not in str(error.value)

    def test_not_utf8(self, tmp_path: Path) -> None:
        """A table in another encoding is refused, not misread."""
        table = write_table(tmp_path, "")
        table.write_bytes("file,emotion\nä.wav,sad\n".encode("utf-16"))
        with pytest.raises(CorpusError, match="expected UTF-8"):
            load_corpus("mine", table)

    def test_missing_table(self, tmp_path: Path) -> None:
        """A table that is not there is named."""
        with pytest.raises(CorpusError, match=r"cannot read .*clips\.csv: No such file"):
            load_corpus("mine", tmp_path / "clips.csv")


class TestSources:
    """NAME=PATH."""

    def test_names_and_paths(self) -> None:
        """NAME=PATH comes apart at the first equals sign; published names take any case."""
        assert parse_source("TESS=a=b") == ("tess", Path("a=b"))
        assert parse_source("My-own.1=x") == ("My-own.1", Path("x"))

    @pytest.mark.parametrize("source", ["tess", "=x", "tess=", "a b=x", "../x=y", ""])
    def test_malformed(self, source: str) -> None:
        """What is not NAME=PATH is refused with an example."""
        with pytest.raises(CorpusError, match="for example tess=data/tess"):
            parse_source(source)

    @pytest.mark.parametrize("path", ["~no_such_user/x", "x" * 5000, "a\0b"])
    def test_impossible_path(self, path: str) -> None:
        """A path that cannot be is refused in one line, for any kind of corpus."""
        for source in (f"tess={path}", f"mine={path}", f"mine={path}.csv"):
            with pytest.raises(CorpusError, match="not a usable path"):
                load_corpora([source])

    def test_same_name_twice(self, tmp_path: Path) -> None:
        """Two corpora cannot have one name."""
        with pytest.raises(CorpusError, match='two corpora are named "x"'):
            load_corpora([f"x={tmp_path}", f"x={tmp_path}"])

    def test_several(self, tmp_path: Path) -> None:
        """Several corpora load in the order given."""
        record(tmp_path / "one" / "03a01Fa.wav")
        record(tmp_path / "two" / "sad" / "1.wav")
        names = [one.name for one in load_corpora([f"x={tmp_path}/two", f"emodb={tmp_path}/one"])]
        assert names == ["x", "emodb"]

    def test_specs_cannot_be_changed(self) -> None:
        """The published corpora are facts, not settings."""
        with pytest.raises(TypeError):
            SPECS["tess"] = SPECS["emodb"]  # type: ignore[index]  # that is the point


@pytest.mark.corpora
class TestRealCorpora:
    """The corpora themselves."""

    @pytest.mark.parametrize(
        ("name", "n_utterances", "n_speakers", "n_emotions", "n_sentences"),
        [
            ("tess", 2_798, 2, 7, 200),
            ("ravdess", 1_440, 24, 8, 2),
            ("emodb", 535, 10, 7, 10),
            ("nemo", 4_481, 9, 6, 90),
        ],
    )
    def test_counts(
        self,
        corpora_root: Path,
        name: str,
        n_utterances: int,
        n_speakers: int,
        n_emotions: int,
        n_sentences: int,
    ) -> None:
        """Each real corpus is read whole."""
        summary = describe(load_corpus(name, corpora_root / name))
        assert summary["n_utterances"] == n_utterances
        assert summary["n_speakers"] == n_speakers
        assert summary["n_emotions"] == n_emotions
        assert summary["n_sentences"] == n_sentences
        assert "unknown" not in summary["sexes"]

    def test_tess_names_its_missing_files(self, corpora_root: Path) -> None:
        """Two of TESS's 2,800 files are not there, and are named."""
        missing = problem(load_corpus("tess", corpora_root / "tess"), "missing")
        assert missing.files == ("OAF_back_angry", "YAF_beg_sad")
        assert "2,798 of 2,800" in missing.text

    def test_ravdess_has_an_identical_pair(self, corpora_root: Path) -> None:
        """Actor 07's two repetitions are one recording."""
        (found,) = load_corpus("ravdess", corpora_root / "ravdess").problems
        assert [Path(file).stem for file in found.files] == [
            "03-01-03-01-02-01-07",
            "03-01-03-01-02-02-07",
        ]

    def test_nested_copy_of_tess(self, corpora_root: Path, tmp_path: Path) -> None:
        """TESS twice in one folder gives each utterance once, with a warning."""
        for folder in ("outer", "outer/inner"):
            (tmp_path / folder).mkdir()
            for file in (corpora_root / "tess").rglob("*_fear*"):
                if file.is_file():
                    (tmp_path / folder / file.name).symlink_to(file)
        corpus = load_corpus("tess", tmp_path)
        assert len(corpus.utterances) == 400
        assert problem(corpus, "copy").text.startswith("400 files")


class TestSamples:
    """A recording is told by its samples, not by its bytes."""

    @pytest.fixture
    def pair(self, talk, tmp_path):
        """Write a recording as WAV and as FLAC, and another one of the same length."""
        for name, sound in (("a.wav", talk), ("b.flac", talk), ("c.wav", talk[::-1])):
            soundfile.write(tmp_path / name, sound[:16_000], 16_000, "PCM_16")
        return tmp_path

    def test_table(self, pair):
        """A copy in another container is the same recording, and no split parts the two."""
        rows = [("a.wav", "sad"), ("b.flac", "sad"), ("c.wav", "happy")]
        table = pair / "own.csv"
        table.write_text("file,emotion\n" + "".join(f"{file},{word}\n" for file, word in rows))
        corpus = load_corpus("own", table)
        one, copy, other = corpus.utterances
        assert one.digest == copy.digest != other.digest
        (problem,) = corpus.problems
        assert (problem.kind, problem.files) == ("identical", ("a.wav", "b.flac"))

    def test_folder(self, pair):
        """In a folder, where it says no more than the first, it is left out."""
        (pair / "sad").mkdir()
        for name in ("a.wav", "b.flac", "c.wav"):
            (pair / name).rename(pair / "sad" / name)
        corpus = load_corpus("own", pair)
        assert [one.file.name for one in corpus.utterances] == ["a.wav", "c.wav"]
        assert [problem.kind for problem in corpus.problems] == ["copy"]
