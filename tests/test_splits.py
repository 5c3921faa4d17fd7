"""Splits: each protocol keeps its promise, on random corpora and on the real ones."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emovox.corpora import load_corpus
from emovox.corpora.utterance import Utterance
from emovox.errors import SplitError
from emovox.splits import (
    OTHER_SPEAKERS,
    SAME_SPEAKERS,
    Fold,
    check_fold,
    make_folds,
    read_groups,
    read_split,
    write_split,
)

REPOSITORY = Path(__file__).resolve().parents[1]
EMOBOX = REPOSITORY / "configs" / "groups" / "ravdess-emobox.csv"


def clip(number: int, **known: str) -> Utterance:
    """Make an utterance whose file and digest are its own."""
    fields = {
        "emotion": ("angry", "sad")[number % 2],
        "speaker": "anna",
        "sentence": "",
        "corpus": "mine",
        "language": "",
        "sex": "",
        "digest": f"{number:064x}",
        **known,
    }
    return Utterance(file=Path(f"/data/{number:05}.wav"), **fields)  # type: ignore[arg-type]  # all str


def corpus_of(
    n_speakers: int, n_sentences: int, n_takes: int = 2, corpus: str = "mine", start: int = 0
) -> list[Utterance]:
    """Make a corpus in which each speaker says each sentence sadly and angrily."""
    texts = [
        (f"s{speaker}", f"t{sentence}", emotion)
        for speaker in range(n_speakers)
        for sentence in range(n_sentences)
        for emotion in ("angry", "sad")
        for _ in range(n_takes)
    ]
    return [
        clip(
            start + number,
            speaker=speaker,
            sentence=sentence,
            emotion=emotion,
            corpus=corpus,
            sex=("female", "male")[int(speaker[1:]) % 2],
        )
        for number, (speaker, sentence, emotion) in enumerate(texts)
    ]


@st.composite
def corpora(draw: st.DrawFn) -> list[Utterance]:
    """Draw clips of up to three corpora; some recordings occur under several names."""
    n_clips = draw(st.integers(12, 90))
    clips = [
        clip(
            number,
            emotion=draw(st.sampled_from(("angry", "fear", "sad"))),
            speaker=f"s{draw(st.integers(0, 6))}",
            sentence=f"t{draw(st.integers(0, 7))}",
            corpus=draw(st.sampled_from(("a", "b", "c"))),
            digest=f"{draw(st.integers(0, n_clips * 4)):064x}",
        )
        for number in range(n_clips)
    ]
    clips[0] = replace(clips[0], emotion="angry")
    clips[1] = replace(clips[1], emotion="sad")
    return clips


def parts(fold: Fold) -> list[tuple[Utterance, ...]]:
    """Return the three parts."""
    return [fold.train, fold.val, fold.test]


class TestPromises:
    """What holds for any corpus: the promise is kept, or a SplitError says why it cannot be."""

    @settings(max_examples=60)
    @given(
        clips=corpora(),
        protocol=st.sampled_from(("random", "sentence", "speaker", "corpus", "all")),
        seed=st.integers(0, 5),
    )
    def test_any_corpus(self, clips: list[Utterance], protocol: str, seed: int) -> None:
        """Every clip stands in one part, equal recordings in the same, and nothing leaks."""
        try:
            folds = make_folds(clips, protocol, seed=seed)
        except SplitError:
            return
        for fold in folds:
            check_fold(fold)
            files = [one.file for part in parts(fold) for one in part]
            assert sorted(files) == sorted(one.file for one in clips)
            digests = [{one.digest for one in part} for part in parts(fold)]
            assert not digests[0] & digests[1]
            assert not (digests[0] | digests[1]) & digests[2]

    @settings(max_examples=30)
    @given(clips=corpora(), protocol=st.sampled_from(("speaker", "corpus")))
    def test_each_is_tested_once(self, clips: list[Utterance], protocol: str) -> None:
        """Over the folds of leave-one-out each clip is tested exactly once."""
        try:
            folds = make_folds(clips, protocol)
        except SplitError:
            return
        tested = Counter(one.file for fold in folds for one in fold.test)
        assert tested == Counter(one.file for one in clips)

    @settings(max_examples=30)
    @given(clips=corpora(), seed=st.integers(0, 9), data=st.data())
    def test_order_does_not_matter(
        self, clips: list[Utterance], seed: int, data: st.DataObject
    ) -> None:
        """The same seed gives the same folds, in whatever order the clips come."""
        clips = [replace(one, digest=f"{number % 11}") for number, one in enumerate(clips)]
        shuffled = data.draw(st.permutations(clips))
        assert make_folds(clips, "random", seed=seed) == make_folds(shuffled, "random", seed=seed)

    @settings(max_examples=40)
    @given(
        sizes=st.lists(st.integers(1, 40), min_size=2, max_size=9).filter(lambda x: sum(x) >= 20),
        seed=st.integers(0, 9),
    )
    def test_random_is_stratified(self, sizes: list[int], seed: int) -> None:
        """No emotion's or speaker's share of any part is off by a whole clip."""
        clips = [
            clip(1000 * stratum + number, emotion=("sad", "angry", "fear")[stratum % 3],
                 speaker=f"s{stratum}")
            for stratum, size in enumerate(sizes)
            for number in range(size)
        ]  # fmt: skip
        (fold,) = make_folds(clips, "random", seed=seed)
        for key in (lambda one: one.emotion, lambda one: (one.emotion, one.speaker)):
            whole = Counter(map(key, clips))
            for part, share in zip(parts(fold), (0.8, 0.1, 0.1), strict=True):
                count = Counter(map(key, part))
                assert all(abs(count[name] - share * whole[name]) < 1 for name in whole)

    def test_seeds_differ(self) -> None:
        """Another seed gives another split."""
        clips = corpus_of(3, 10)
        assert make_folds(clips, "random", seed=0) != make_folds(clips, "random", seed=1)


class TestRandomAndSentence:
    """One fold of about 80/10/10."""

    def test_random_totals_are_exact(self) -> None:
        """A hundred clips give 80, 10 and 10."""
        (fold,) = make_folds(corpus_of(5, 5), "random")
        assert [len(part) for part in parts(fold)] == [80, 10, 10]
        assert fold.validation == SAME_SPEAKERS

    def test_sentences_are_apart(self) -> None:
        """Twenty sentences give 16, 2 and 2, none on two sides."""
        (fold,) = make_folds(corpus_of(3, 20), "sentence")
        sentences = [{one.sentence for one in part} for part in parts(fold)]
        assert [len(part) for part in sentences] == [16, 2, 2]
        assert not sentences[0] & sentences[1]
        assert not (sentences[0] | sentences[1]) & sentences[2]

    def test_identical_recordings_join_sentences(self) -> None:
        """Two sentences with one recording in common stand on one side."""
        clips = corpus_of(2, 3)
        twin = replace(clips[0], file=Path("/data/twin.wav"), sentence="t2")
        with pytest.raises(SplitError, match="at least 3 sentences, got 2"):
            make_folds([*clips, twin], "sentence")

    def test_all_has_no_test_part(self) -> None:
        """Protocol all tests nothing and validates on a tenth."""
        (fold,) = make_folds(corpus_of(5, 5), "all")
        assert [len(part) for part in parts(fold)] == [90, 10, 0]


class TestSpeaker:
    """Tested speakers are never trained on."""

    def test_leave_one_out(self) -> None:
        """Each speaker is a fold of their own; others of the rest validate."""
        folds = make_folds(corpus_of(6, 3), "speaker")
        assert [fold.name for fold in folds] == ["s0", "s1", "s2", "s3", "s4", "s5"]
        for fold in folds:
            assert {one.speaker for one in fold.test} == {fold.name}
            assert len({one.speaker for one in fold.val}) == 1
            assert fold.validation == OTHER_SPEAKERS

    def test_two_speakers_validate_on_other_sentences(self) -> None:
        """With few speakers the validation part holds clips of the training speakers."""
        for fold in make_folds(corpus_of(2, 10), "speaker"):
            assert fold.validation == SAME_SPEAKERS
            assert len(fold.val) == 4
            assert {one.sentence for one in fold.val}.isdisjoint(one.sentence for one in fold.train)

    def test_without_sentences_validates_on_clips(self) -> None:
        """Without sentences a stratified tenth of the clips validates."""
        clips = [replace(one, sentence="") for one in corpus_of(2, 10)]
        for fold in make_folds(clips, "speaker"):
            assert (len(fold.train), len(fold.val)) == (36, 4)
            assert Counter(one.emotion for one in fold.val) == {"angry": 2, "sad": 2}

    def test_same_name_in_two_corpora(self) -> None:
        """Speakers of two corpora are different people, whatever their names."""
        clips = corpus_of(2, 3, corpus="a") + corpus_of(2, 3, corpus="b", start=500)
        names = [fold.name for fold in make_folds(clips, "speaker")]
        assert names == ["a-s0", "a-s1", "b-s0", "b-s1"]

    def test_speakers_who_share_a_recording(self) -> None:
        """Two speakers with one recording in common are tested together."""
        clips = corpus_of(4, 3)
        twin = replace(clips[0], file=Path("/data/twin.wav"), speaker="s1")
        names = [fold.name for fold in make_folds([*clips, twin], "speaker")]
        assert names == ["s0+s1", "s2", "s3"]

    def test_number_of_groups(self) -> None:
        """Groups are equal in clips and mix the sexes."""
        folds = make_folds(corpus_of(12, 3), "speaker", n_groups=3)
        for fold in folds:
            assert len(fold.test) == 48
            assert Counter(one.sex for one in fold.test) == {"female": 24, "male": 24}

    @settings(max_examples=40)
    @given(
        sizes=st.lists(st.integers(2, 50), min_size=2, max_size=12),
        n_groups=st.integers(2, 12),
        seed=st.integers(0, 3),
    )
    def test_groups_are_balanced(self, sizes: list[int], n_groups: int, seed: int) -> None:
        """No group is empty, nor larger than another by more than one and a half speakers."""
        if n_groups > len(sizes):
            n_groups = len(sizes)
        clips = [
            clip(100 * speaker + number, speaker=f"s{speaker}", sex=("female", "male")[speaker % 2])
            for speaker, size in enumerate(sizes)
            for number in range(size)
        ]
        folds = make_folds(clips, "speaker", n_groups=n_groups, seed=seed)
        tested = [len(fold.test) for fold in folds]
        assert len(tested) == n_groups
        assert sum(tested) == sum(sizes)
        assert max(tested) - min(tested) <= 1.5 * max(sizes)

    def test_given_groups(self) -> None:
        """Groups come by name or as CORPUS:NAME; who is in none is never tested."""
        folds = make_folds(
            corpus_of(6, 3), "speaker", groups={"one": ["s0", "mine:s1"], "two": ["s2"]}
        )
        assert [fold.name for fold in folds] == ["one", "two"]
        assert {one.speaker for one in folds[0].test} == {"s0", "s1"}
        assert {one.speaker for one in folds[1].test} == {"s2"}

    def test_folder_safe_names(self) -> None:
        """A fold's name can be a folder's, and no two are the same."""
        clips = [replace(one, speaker=f"a/{one.speaker[1:]}") for one in corpus_of(2, 9)]
        clips += [replace(one, speaker="a 0") for one in corpus_of(1, 9, start=900)]
        assert [fold.name for fold in make_folds(clips, "speaker")] == ["a-0", "a-1", "a-0_"]

    @pytest.mark.parametrize(
        ("groups", "message"),
        [
            ({}, "at least one group"),
            ({"one": []}, "group one has no speaker"),
            ({"one": ["eve"]}, 'unknown speaker "eve" in group one; expected one of mine:s0'),
            (
                {"one": ["s0"], "two": ["s0"]},
                "speaker s0 is listed twice: in group one and in group two",
            ),
            ({"one": ["s0", "s1", "s2"]}, "holds every speaker"),
        ],
    )
    def test_wrong_groups(self, groups: dict[str, list[str]], message: str) -> None:
        """Each way to get groups wrong has its own error."""
        with pytest.raises(SplitError, match=message):
            make_folds(corpus_of(3, 3), "speaker", groups=groups)

    def test_ambiguous_speaker(self) -> None:
        """A name that two corpora have must say which is meant."""
        clips = corpus_of(2, 3, corpus="a") + corpus_of(2, 3, corpus="b", start=500)
        with pytest.raises(SplitError, match="is ambiguous; use one of a:s0, b:s0"):
            make_folds(clips, "speaker", groups={"one": ["s0"]})


class TestCorpusAndTable:
    """Whole corpora left out, and a user's own division."""

    def test_leave_one_corpus_out(self) -> None:
        """Each corpus is tested by what never heard it; other speakers validate."""
        clips = corpus_of(5, 3, corpus="a") + corpus_of(5, 3, corpus="b", start=500)
        folds = make_folds(clips, "corpus")
        assert [fold.name for fold in folds] == ["a", "b"]
        for fold in folds:
            assert {one.corpus for one in fold.test} == {fold.name}
            assert fold.validation == OTHER_SPEAKERS

    def test_corpora_that_share_recordings(self) -> None:
        """Two corpora with a recording in common cannot be told apart."""
        clips = corpus_of(2, 3, corpus="a") + corpus_of(2, 3, corpus="b")
        clips = [replace(one, file=Path(f"/{n}.wav")) for n, one in enumerate(clips)]
        with pytest.raises(SplitError, match="only a and b, which share recordings"):
            make_folds(clips, "corpus")

    def test_own_table(self) -> None:
        """Protocol table takes the user's parts as they are."""
        subsets = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
        clips = [clip(number, subset=subset) for number, subset in enumerate(subsets)]
        (fold,) = make_folds(clips, "table")
        assert [len(part) for part in parts(fold)] == [8, 2, 2]

    def test_own_table_without_validation(self) -> None:
        """Without a val part a tenth of the training clips validates, and the fold says so."""
        clips = [clip(n, subset="test" if n < 4 else "train") for n in range(24)]
        (fold,) = make_folds(clips, "table")
        assert [len(part) for part in parts(fold)] == [18, 2, 4]
        assert fold.validation == SAME_SPEAKERS

    @pytest.mark.parametrize(
        ("subsets", "message"),
        [
            (["train", "", "test"], "1 of 3 have none"),
            (["train", "train", "val"], "has no test part"),
            (["test", "test", "val"], "has no train part"),
        ],
    )
    def test_incomplete_table(self, subsets: list[str], message: str) -> None:
        """A clip without a part, or a part without clips, is an error."""
        clips = [clip(number, subset=subset) for number, subset in enumerate(subsets)]
        with pytest.raises(SplitError, match=message):
            make_folds(clips, "table")

    def test_table_with_a_recording_on_two_sides(self) -> None:
        """A user's own table may not put one recording on two sides either."""
        subsets = ["train", "train", "val", "test"]
        clips = [clip(number, subset=subset) for number, subset in enumerate(subsets)]
        clips[3] = replace(clips[3], digest=clips[0].digest)
        with pytest.raises(SplitError, match=r"same recording in train and in test.*00000\.wav"):
            make_folds(clips, "table")


class TestRefusals:
    """What cannot be split."""

    @pytest.mark.parametrize(
        ("clips", "protocol", "message"),
        [
            ([], "random", "at least two emotions, got no clips"),
            ([clip(0), clip(2)], "random", "at least two emotions, got angry"),
            ([clip(0), clip(1)], "random", "at least 10 recordings, got 2"),
            ([clip(0), clip(1)], "all", "at least 10 recordings, got 2"),
            ([clip(0), clip(1)], "speaker", "at least two speakers, got only anna"),
            ([clip(0), clip(1, speaker="")], "speaker", "1 of 2 have none"),
            ([clip(0), clip(1)], "sentence", "2 of 2 have none"),
            (corpus_of(2, 2), "sentence", "at least 3 sentences, got 2"),
            (corpus_of(2, 2), "corpus", "at least two corpora, got only mine"),
            (corpus_of(2, 2), "speakers", 'unknown protocol "speakers"; expected one of random'),
        ],
    )
    def test_clear_errors(self, clips: list[Utterance], protocol: str, message: str) -> None:
        """Each thing a protocol needs and does not have is named in one line."""
        with pytest.raises(SplitError, match=message) as error:
            make_folds(clips, protocol)
        assert "\n" not in str(error.value)

    def test_wrong_options(self) -> None:
        """Options that do not belong together, or are out of range, are refused."""
        clips = corpus_of(3, 3)
        with pytest.raises(SplitError, match="belong to protocol speaker"):
            make_folds(clips, "random", n_groups=2)
        with pytest.raises(SplitError, match="got both"):
            make_folds(clips, "speaker", n_groups=2, groups={"one": ["s0"]})
        with pytest.raises(SplitError, match="expected 2 to 3 groups of speakers, got 4"):
            make_folds(clips, "speaker", n_groups=4)
        with pytest.raises(SplitError, match="seed of 0 or more"):
            make_folds(clips, "random", seed=-1)

    @pytest.mark.parametrize(
        ("protocol", "message"),
        [
            ("speaker", "same speaker in train or val and in test"),
            ("sentence", "same sentence in train and in val"),
            ("corpus", "same corpus in train or val and in test"),
            ("all", "may have no test part"),
        ],
    )
    def test_broken_promise(self, protocol: str, message: str) -> None:
        """A fold that breaks its protocol's promise is refused with an example."""
        clips = [clip(number, sentence="t") for number in range(4)]
        fold = Fold("x", protocol, tuple(clips[:2]), (clips[2],), (clips[3],), SAME_SPEAKERS)
        with pytest.raises(SplitError, match=message):
            check_fold(fold)

    def test_validation_must_be_what_it_says(self) -> None:
        """A fold that claims other speakers in validation must have them."""
        fold = Fold("x", "random", (clip(0),), (clip(1),), (clip(2),), OTHER_SPEAKERS)
        with pytest.raises(SplitError, match="same speaker in train and in val"):
            check_fold(fold)

    def test_empty_part(self) -> None:
        """A fold with an empty part is refused."""
        with pytest.raises(SplitError, match="has no val part"):
            check_fold(Fold("x", "random", (clip(0),), (), (clip(1),), SAME_SPEAKERS))


class TestTables:
    """Splits and groups as files."""

    @pytest.mark.parametrize("protocol", ["random", "sentence", "speaker", "all"])
    def test_round_trip(self, tmp_path: Path, protocol: str) -> None:
        """What is written is read back as the same fold."""
        clips = corpus_of(6, 10)
        fold = make_folds(clips, protocol)[0]
        write_split(fold, tmp_path / "split.csv")
        again = read_split(tmp_path / "split.csv", clips, protocol)
        assert parts(again) == parts(fold)
        assert again.validation == fold.validation
        assert [path.name for path in tmp_path.iterdir()] == ["split.csv"]

    def test_columns(self, tmp_path: Path) -> None:
        """A table has a row for each clip, sorted by file, with the documented columns."""
        fold = make_folds(corpus_of(2, 10), "random")[0]
        write_split(fold, tmp_path / "split.csv")
        with (tmp_path / "split.csv").open(encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        columns = ["file", "emotion", "speaker", "sentence", "subset", "corpus", "digest"]
        assert list(rows[0]) == columns
        assert [row["file"] for row in rows] == sorted(row["file"] for row in rows)
        assert Counter(row["subset"] for row in rows) == {"train": 64, "val": 8, "test": 8}

    def test_moved_and_reencoded_corpus(self, tmp_path: Path) -> None:
        """A table serves a copy of the corpus elsewhere, and one in another format."""
        clips = corpus_of(2, 10)
        fold = make_folds(clips, "random")[0]
        write_split(fold, tmp_path / "split.csv")
        moved = [replace(one, file=Path("/other") / one.file.name) for one in clips]
        flac = [
            replace(one, file=Path("/other") / f"{one.file.stem}.flac", digest=f"f{one.digest}")
            for one in clips
        ]
        for copies in (moved, flac):
            again = read_split(tmp_path / "split.csv", copies, "random")
            stems = [[one.file.stem for one in part] for part in parts(again)]
            assert stems == [[one.file.stem for one in part] for part in parts(fold)]

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ("", 'expected a column "file"'),
            ("file,subset\n", "no rows"),
            ("file,subset\n00000.wav,train\n", "3 recordings are not in the table"),
            ("file,subset\nx.wav,train\n", r"1 recordings are in none of the corpora.*x\.wav"),
            ("file,subset\n00000.wav,exam\n", 'expected train, val or test in line 2.*"exam"'),
            ("file,subset\n00000.wav,train\n00000.wav,test\n", "in train and in test"),
        ],
    )
    def test_wrong_tables(self, tmp_path: Path, rows: str, message: str) -> None:
        """Unknown, missing and contradictory rows are each a clear error."""
        (tmp_path / "split.csv").write_text(rows)
        with pytest.raises(SplitError, match=message):
            read_split(tmp_path / "split.csv", [clip(n) for n in range(4)], "random")

    def test_table_is_checked(self, tmp_path: Path) -> None:
        """A table that breaks the protocol's promise is refused."""
        fold = make_folds(corpus_of(2, 10), "random")[0]
        write_split(fold, tmp_path / "split.csv")
        with pytest.raises(SplitError, match="same speaker in train or val and in test"):
            read_split(tmp_path / "split.csv", corpus_of(2, 10), "speaker")

    def test_unwritable(self, tmp_path: Path) -> None:
        """A folder that cannot be made gives one line, no traceback."""
        fold = make_folds(corpus_of(2, 10), "random")[0]
        (tmp_path / "nowhere").touch()
        with pytest.raises(SplitError, match="cannot write the split"):
            write_split(fold, tmp_path / "nowhere" / "split.csv")

    def test_groups(self, tmp_path: Path) -> None:
        """Groups are read in the order of the table."""
        (tmp_path / "groups.csv").write_text("Group,Speaker\nb,1\na,02\nb,x:3\n")
        assert read_groups(tmp_path / "groups.csv") == {"b": ["1", "x:3"], "a": ["02"]}

    @pytest.mark.parametrize(
        ("text", "message"),
        [("group\na\n", 'expected a column "speaker"'), ("group,speaker\na,\n", "in line 2")],
    )
    def test_wrong_groups(self, tmp_path: Path, text: str, message: str) -> None:
        """A table of groups without speakers is refused."""
        (tmp_path / "groups.csv").write_text(text)
        with pytest.raises(SplitError, match=message):
            read_groups(tmp_path / "groups.csv")

    def test_shipped_groups(self) -> None:
        """EmoBox's six folds hold each of RAVDESS's 24 actors once."""
        groups = read_groups(EMOBOX)
        assert [len(speakers) for speakers in groups.values()] == [4] * 6
        everyone = sorted(speaker for speakers in groups.values() for speaker in speakers)
        assert everyone == [f"ravdess:{actor:02}" for actor in range(1, 25)]


@pytest.mark.corpora
class TestRealCorpora:
    """The protocols on the corpora they are made for."""

    def test_tess(self, corpora_root: Path) -> None:
        """TESS: two speakers are two folds; no word stands on two sides."""
        clips = load_corpus("tess", corpora_root / "tess").utterances
        (fold,) = make_folds(clips, "random")
        assert [len(part) for part in parts(fold)] == [2_238, 280, 280]
        assert [fold.name for fold in make_folds(clips, "speaker")] == ["OAF", "YAF"]
        (fold,) = make_folds(clips, "sentence")
        assert [len({one.sentence for one in part}) for part in parts(fold)] == [160, 20, 20]

    def test_ravdess_emobox(self, corpora_root: Path) -> None:
        """RAVDESS in EmoBox's folds: 4 actors tested, 2 validate, 18 train."""
        clips = load_corpus("ravdess", corpora_root / "ravdess").utterances
        folds = make_folds(clips, "speaker", groups=read_groups(EMOBOX))
        assert [len(fold.test) for fold in folds] == [240] * 6
        assert {one.speaker for one in folds[0].test} == {"01", "11", "20", "21"}
        for fold in folds:
            assert [len({one.speaker for one in part}) for part in parts(fold)] == [18, 2, 4]

    def test_ravdess_identical_pair(self, corpora_root: Path) -> None:
        """The two names of one recording never part, whatever the seed."""
        clips = load_corpus("ravdess", corpora_root / "ravdess").utterances
        for seed in range(10):
            (fold,) = make_folds(clips, "random", seed=seed)
            sides = ["03-01-03-01-02-01-07" in {c.file.stem for c in p} for p in parts(fold)]
            assert sides == [
                "03-01-03-01-02-02-07" in {c.file.stem for c in p} for p in parts(fold)
            ]
