"""Whole training runs on a small made-up corpus: every file, every protocol, every way to stop."""

import csv
import dataclasses
import json
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from emovox.audio import load_audio
from emovox.corpora import load_corpus
from emovox.errors import ConfigError, EmovoxError, SplitError, TrainingError
from emovox.evaluation.run import Console, evaluate_model
from emovox.recognizer import Recognizer
from emovox.training.acoustic.fit import Observer
from emovox.training.learner import learner_of
from emovox.training.run import Training, train
from emovox.training.settings import (
    Acoustic,
    NetworkConfig,
    Settings,
    Speech,
    read_settings,
)
from emovox.training.speech.backbone import backbone_digest
from emovox.training.speech.encoder import SpeechConfig, SpeechStatistics
from made_corpus import make_corpus

pytestmark = pytest.mark.usefixtures("undrawn")

FILES = {
    "config.toml", "split.csv", "history.csv", "model.onnx", "report.json", "report.html",
    "predictions.csv", "checkpoint.pt", "figures",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    """Give the source of a small corpus."""
    return f"made={make_corpus(tmp_path_factory.mktemp('made'))}"


@pytest.fixture
def settings(corpus) -> Settings:
    """Give settings of a training of a few seconds."""
    network = NetworkConfig(channels=(12, 12), n_lstm=8, dropout=0.0)
    acoustic = Acoustic(epochs=4, batch_size=8, network=network, learning_rate=5e-3)
    return Settings(corpora=(corpus,), acoustic=acoustic)


def for_epochs(settings: Settings, n_epochs: int, **changes: object) -> Settings:
    """Change settings, and the number of epochs of an acoustic model."""
    acoustic = dataclasses.replace(settings.acoustic, epochs=n_epochs)
    return dataclasses.replace(settings, acoustic=acoustic, **changes)


class KilledError(Exception):
    """Ends a run from within, as a kill would."""


def killed_in(epoch_to_die: int) -> Training:
    """Make a display whose run dies in the middle of an epoch."""

    def on_batch(epoch: int, done: int, total: int) -> None:
        if epoch == epoch_to_die:
            raise KilledError

    @contextmanager
    def training(fold: str, n_epochs: int):
        yield Observer(on_batch=on_batch)

    return training


def killed_in_fold(name: str) -> Training:
    """Make a display whose run dies at the beginning of a fold."""

    @contextmanager
    def training(fold: str, n_epochs: int):
        if fold == name:
            raise KilledError
        yield Observer()

    return training


def weights(path: Path) -> list[bytes]:
    """Return the weights in a model file."""
    return [one.SerializeToString() for one in onnx.load(path).graph.initializer]


@pytest.mark.pictures
def test_a_run_leaves_everything(settings, tmp_path):
    """A run's folder holds settings, split, history, model, answers, report and figures."""
    out = tmp_path / "run"
    told = []
    report = train(settings, out, console=Console(line=told.append))
    assert report["ending"] in told
    assert report["parts"]["test"] == {"recordings": report["n_test"], "speakers": 3}
    assert report["model"]["kind"] == "CNN-LSTM on acoustic features"
    assert "LSTM each way, 12 to 2 x 8, mean over time" in report["model"]["layers"]
    page = (out / "report.html").read_text()
    assert "CNN-LSTM" in page
    assert Recognizer.load(out / "model.onnx").card.name == "acoustic"
    assert {path.name for path in out.iterdir()} == FILES
    assert read_settings(out / "config.toml", {}) == settings
    assert json.loads((out / "report.json").read_text()) == report
    assert report["n_train"] + report["n_val"] + report["n_test"] == 54
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
    assert list(rows[0]) == [
        "epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"
    ]  # fmt: skip
    with (out / "split.csv").open() as file:
        subsets = [row["subset"] for row in csv.DictReader(file)]
    assert (len(subsets), set(subsets)) == (54, {"train", "val", "test"})


def test_the_model_of_a_run_gives_the_answers_of_its_report(settings, tmp_path):
    """predictions.csv holds what the exported model says of the files, and the card the figures."""
    report = train(settings, tmp_path / "run")
    recognizer = Recognizer.load(tmp_path / "run" / "model.onnx")
    with (tmp_path / "run" / "predictions.csv").open() as file:
        for row in csv.DictReader(file):
            prediction = recognizer.predict(row["file"])
            scores = prediction.scores
            told = {label: float(row[f"scores.{label}"]) for label in scores}
            assert told == pytest.approx(dict(scores), abs=1e-5)
    assert recognizer.card.figures["test_uar"] == pytest.approx(report["uar"], abs=1e-4)
    assert recognizer.fingerprint == report["model"]["fingerprint"]
    assert recognizer.card.protocol == "random"


def test_each_voice_is_tested_unheard(settings, tmp_path):
    """With the speaker protocol each voice is tested by a model that never heard it."""
    settings = for_epochs(settings, 2, protocol="speaker")
    report = train(settings, tmp_path / "run")
    assert set(report["folds"]) == {"s0", "s1", "s2"}
    for name in report["folds"]:
        assert FILES - {"config.toml"} == {p.name for p in (tmp_path / "run" / name).iterdir()}
        with (tmp_path / "run" / name / "split.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert {row["speaker"] for row in rows if row["subset"] == "test"} == {name}
        assert name not in {row["speaker"] for row in rows if row["subset"] != "test"}
    assert report["uar"] == pytest.approx(
        np.mean([fold["uar"] for fold in report["folds"].values()])
    )


def test_killed_and_resumed_equals_straight(settings, tmp_path):
    """A run killed in the middle and resumed gives the same weights and answers."""
    straight = train(settings, tmp_path / "straight")
    with pytest.raises(KilledError):
        train(settings, tmp_path / "killed", training=killed_in(3))
    assert not (tmp_path / "killed" / "model.onnx").exists()
    resumed = train(settings, tmp_path / "killed", resume=True)
    assert weights(tmp_path / "killed" / "model.onnx") == weights(
        tmp_path / "straight" / "model.onnx"
    )
    assert resumed["confusion"] == straight["confusion"]


def test_finished_folds_are_not_run_again(settings, tmp_path):
    """Resuming a run of several folds goes on with the first that is not finished."""
    settings = for_epochs(settings, 2, protocol="speaker")
    with pytest.raises(KilledError):
        train(settings, tmp_path / "run", training=killed_in(2))
    first = train(settings, tmp_path / "run", resume=True)
    stamp = (tmp_path / "run" / "s0" / "model.onnx").stat().st_mtime_ns
    again = train(settings, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "s0" / "model.onnx").stat().st_mtime_ns == stamp
    assert again["folds"] == first["folds"]


def changed_table(corpus: str, folder: Path) -> tuple[str, Path]:
    """Copy a corpus with its table, as a source and the table's path."""
    table = Path(corpus.partition("=")[2])
    copied = shutil.copytree(table.parent, folder / "copied")
    return f"made={copied / table.name}", copied / table.name


def change_recordings(table: Path, change: str) -> None:
    """Change the first recording of a corpus or its label, or leave out or add one."""
    rows = table.read_text().splitlines()
    first = table.parent / rows[1].split(",")[0]
    if change == "sound":
        soundfile.write(first, soundfile.read(first)[0] * 0.9, 16_000)
    elif change == "label":
        rows[1] = rows[1].replace(",angry,", ",sad,")
        table.write_text("\n".join(rows) + "\n")
    elif change == "removed":
        table.write_text("\n".join(rows[:-1]) + "\n")
    else:
        table.write_text(table.read_text() + rows[1].replace(first.name, "more.wav") + "\n")
        soundfile.write(first.with_name("more.wav"), soundfile.read(first)[0] * 0.9, 16_000)


@pytest.mark.parametrize("protocol", ["random", "speaker"])
def test_changed_recordings_are_not_mixed(settings, corpus, tmp_path, protocol):
    """A run is not resumed on other recordings: neither is its report shown, nor folds mixed."""
    source, table = changed_table(corpus, tmp_path)
    settings = for_epochs(settings, 1, corpora=(source,), protocol=protocol)
    if protocol == "random":
        train(settings, tmp_path / "run")
    else:
        with pytest.raises(KilledError):
            train(settings, tmp_path / "run", training=killed_in_fold("s2"))
    for change in ("sound", "label", "removed", "added"):
        shutil.rmtree(table.parent)
        changed_table(corpus, tmp_path)
        change_recordings(table, change)
        with pytest.raises(TrainingError, match=r"run.*: \d+ recordings? changed since the run be"):
            train(settings, tmp_path / "run", resume=True)


def test_a_moved_corpus_is_the_same(settings, corpus, tmp_path, monkeypatch):
    """A run goes on where its recordings lie in another folder now."""
    _, table = changed_table(corpus, tmp_path)
    monkeypatch.chdir(table.parent)
    settings = for_epochs(settings, 1, corpora=(f"made={table.name}",))
    report = train(settings, tmp_path / "run")
    moved = table.parent.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    assert train(settings, tmp_path / "run", resume=True) == report


def test_a_split_table_can_be_used_again(settings, tmp_path):
    """The split of one run, given to another with another seed, is the same split."""
    train(settings, tmp_path / "one")
    table = tmp_path / "one" / "split.csv"
    again = dataclasses.replace(settings, split=str(table), seed=7)
    train(again, tmp_path / "two")
    assert (tmp_path / "two" / "split.csv").read_text() == table.read_text()


def test_protocol_all_is_tested_on_validation_and_says_so(settings, tmp_path):
    """A model to ship has no test part; its figures are of the validation part by name."""
    report = train(dataclasses.replace(settings, protocol="all"), tmp_path / "run")
    card = Recognizer.load(tmp_path / "run" / "model.onnx").card
    assert set(card.figures) == {"validation_accuracy", "validation_uar", "n_validation"}
    assert report["n_test"] == 0


def test_labels_and_merging(settings, tmp_path):
    """Emotions can be chosen and merged; what is left out is told."""
    told = []
    chosen = dataclasses.replace(settings, labels=("angry", "sad"), map={"happy": "fear"})
    train(chosen, tmp_path / "run", console=Console(line=told.append))
    assert Recognizer.load(tmp_path / "run" / "model.onnx").labels == ("angry", "sad")
    assert any("18 recordings of fear" in line for line in told)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"corpora": ()}, ConfigError, "at least one corpus"),
        ({"labels": ("angry",)}, SplitError, "at least two emotions"),
        ({"protocol": "corpus"}, SplitError, "corpora"),
        ({"split": "nowhere.csv"}, SplitError, "nowhere.csv"),
    ],
)
def test_impossible_runs_are_refused(settings, tmp_path, change, error, match):
    """What cannot be trained is one clear error."""
    with pytest.raises(error, match=match):
        train(dataclasses.replace(settings, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_folders_of_other_runs_are_refused(settings, tmp_path):
    """A run never overwrites or continues another one, or writes among other files."""
    out = tmp_path / "run"
    with pytest.raises(KilledError):
        train(settings, out, training=killed_in(1))
    with pytest.raises(TrainingError, match="already holds a run"):
        train(settings, out)
    with pytest.raises(TrainingError, match="different seed"):
        train(dataclasses.replace(settings, seed=1), out, resume=True)
    with pytest.raises(TrainingError, match="no run to resume"):
        train(settings, tmp_path / "other", resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("precious")
    with pytest.raises(TrainingError, match="not empty"):
        train(settings, tmp_path / "full")
    with pytest.raises(TrainingError, match="got a file"):
        train(settings, tmp_path / "full" / "thesis.txt")


def test_evaluate_measures_any_model_on_any_corpus(settings, corpus, tmp_path):
    """A model is measured on a corpus; emotions it does not know are counted, not scored."""
    chosen = dataclasses.replace(settings, labels=("angry", "sad"))
    train(chosen, tmp_path / "run")
    report = evaluate_model(tmp_path / "run" / "model.onnx", (corpus,), tmp_path / "measured")
    assert report["left_out"] == {"happy": 18}
    assert report["n"] == 36
    assert (tmp_path / "measured" / "report.html").exists()


def test_evaluate_counts_the_nearest_emotion(settings, corpus, tmp_path):
    """Boredom counts as neutral for a model that has learned no boredom, and the report says so."""
    source, table = changed_table(corpus, tmp_path)
    named = for_epochs(settings, 1, corpora=(source,), map={"happy": "neutral"})
    train(named, tmp_path / "run")
    table.write_text(table.read_text().replace(",happy,", ",boredom,"))
    told = []
    report = evaluate_model(
        tmp_path / "run" / "model.onnx",
        (source,),
        tmp_path / "measured",
        console=Console(line=told.append),
    )
    assert (report["n"], report["left_out"], report["merged"]) == (54, {}, {"boredom": 18})
    assert "18 recordings of boredom counted as neutral" in told
    page = (tmp_path / "measured" / "report.html").read_text()
    assert "boredom: 18" in page
    assert "seed" not in page.partition("</h1>")[0].partition("<title>")[2]


def test_evaluate_does_not_write_into_a_run(settings, corpus, tmp_path):
    """A run's own report is not overwritten by an evaluation."""
    train(settings, tmp_path / "run")
    with pytest.raises(EmovoxError, match="holds a training run"):
        evaluate_model(tmp_path / "run" / "model.onnx", (corpus,), tmp_path / "run")


@pytest.mark.pictures
@pytest.mark.corpora
def test_the_chain_on_real_recordings(corpora_root, tmp_path):
    """Trained on a tenth of TESS for a few epochs, most of a random test part is recognised."""
    files = sorted((corpora_root / "tess").glob("*/*"))[::8]
    for file in files:
        folder = tmp_path / "tess" / file.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file.name).symlink_to(file)
    settings = Settings(corpora=(f"tess={tmp_path / 'tess'}",), acoustic=Acoustic(epochs=8))
    report = train(settings, tmp_path / "run")
    assert len(report["per_emotion"]) == 7
    assert report["accuracy"] > 0.8


def command(corpus: str, out: Path) -> list[str]:
    """Return the command line of a short training."""
    options = ["--corpus", corpus, "--epochs", "3", "--out", str(out)]
    return [str(Path(sys.executable).with_name("emovox")), "train", *options]


def test_a_full_disk_loses_no_work(corpus, tmp_path):
    """Where the disk takes no more, one line says so, and the run goes on later."""

    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    full = subprocess.run(
        command(corpus, tmp_path / "run"), capture_output=True, text=True, preexec_fn=no_large_files
    )
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert "fix this and run again with --resume" in full.stderr
    assert not list((tmp_path / "run").rglob(".part-*"))
    resumed = subprocess.run(
        [*command(corpus, tmp_path / "run"), "--resume"], capture_output=True, text=True
    )
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "run" / "report.json").exists()


def heed_ctrl_c() -> None:
    """Undo what a shell does to the programs it starts in the background: Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_leaves_a_checkpoint(corpus, tmp_path):
    """Interrupted by Ctrl-C, training ends with advice, and goes on from its last epoch."""
    run = command(corpus, tmp_path / "run")
    run[run.index("3")] = "100000"
    (tmp_path / "patient.toml").write_text("[acoustic]\npatience = 100000")
    run += ["--config", str(tmp_path / "patient.toml")]
    with subprocess.Popen(
        run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    ) as process:
        for line in process.stderr:
            if line.startswith("epoch  2"):
                process.send_signal(signal.SIGINT)
                break
        try:
            _, rest = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 130
    assert "run again with --resume" in rest
    assert "Traceback" not in rest
    assert (tmp_path / "run" / "checkpoint.pt").stat().st_size > 0
    with (tmp_path / "run" / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) >= 2


def test_an_acoustic_model_may_know_its_speaker(settings, tmp_path):
    """One that was trained on baselines is measured with them as well, and says so."""
    voices = {"p_alone": 0.5, "resample": 0.1, "offset": 0.2, "mask": 0.1, "crop_s": 1.0}
    acoustic = dataclasses.replace(settings.acoustic, **voices)
    settings = dataclasses.replace(settings, acoustic=acoustic)
    report = train(settings, tmp_path / "run")
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == FILES | {"predictions_running.csv"}
    figures = Recognizer.load(tmp_path / "run" / "model.onnx").card.figures
    assert figures["running_test_uar"] == report["running_baseline"]["running_test_uar"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    """Give an encoder of whisper-tiny's size with random weights, as the hub would."""
    torch.manual_seed(0)
    module = SpeechStatistics(SpeechConfig(max_seconds=30.0), 384)
    path = tmp_path_factory.mktemp("encoder") / "model.safetensors"
    save_file({f"model.encoder.{k}": v.half() for k, v in module.state_dict().items()}, path)
    return path


@pytest.fixture
def speech_settings(corpus, encoder) -> Settings:
    """Give settings of a speech model's training of a few seconds."""
    return Settings(
        corpora=(corpus,),
        features="speech",
        window_s=15.0,
        coverage=0.8,
        speech=Speech(
            encoder=str(encoder),
            epochs=3,
            n_copies=1,
        ),
    )


def test_a_speech_run_leaves_a_model_that_knows_its_speaker(speech_settings, tmp_path):
    """A head on an encoder is trained, exported, and measured without and with a baseline."""
    report = train(speech_settings, tmp_path / "run")
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == FILES - {"checkpoint.pt"} | {"predictions_running.csv"}
    recognizer = Recognizer.load(tmp_path / "run" / "model.onnx")
    figures = recognizer.card.figures
    assert figures["running_test_uar"] == report["running_baseline"]["running_test_uar"]
    assert recognizer.card.baseline == (0.0,) * (2 * 3 + 2)
    assert 0 < recognizer.card.threshold < 1
    assert (
        "of each speaker, which starts empty and is learned without labels"
        in (tmp_path / "run" / "report.html").read_text()
    )


def test_a_speech_model_changes_with_the_baseline(speech_settings, corpus, tmp_path):
    """What was heard of a speaker changes the answer; zeros around a clip do not."""
    train(speech_settings, tmp_path / "run")
    recognizer = Recognizer.load(tmp_path / "run" / "model.onnx")
    folder = Path(corpus.partition("=")[2]).parent
    clips = [load_audio(path) for path in sorted(folder.glob("s0-*.wav"))[:6]]
    baseline = recognizer.enrol("s0", clips, 16_000)
    alone = [recognizer.predict(clip, 16_000) for clip in clips]
    known = [recognizer.predict(clip, 16_000, baseline=baseline) for clip in clips]
    assert any(abs(a.score - b.score) > 1e-4 for a, b in zip(alone, known, strict=True))
    for clip, one in zip(clips, alone, strict=True):
        other = recognizer.predict(np.pad(clip, (16_000, 9_999)), 16_000)
        assert dict(one.scores) == pytest.approx(dict(other.scores), abs=0.02)


def test_a_model_is_trained_from_the_encoder_of_another(speech_settings, tmp_path, monkeypatch):
    """Without weights, the encoder is taken out of the shipped model; the answers are the same."""
    train(speech_settings, tmp_path / "first")
    shipped = tmp_path / "first" / "model.onnx"
    monkeypatch.setattr("emovox.training.learner.find_model", lambda name: shipped)
    monkeypatch.setattr("emovox.training.learner.shipped_models", lambda: ["speech"])
    speech = dataclasses.replace(speech_settings.speech, encoder="")
    train(dataclasses.replace(speech_settings, speech=speech), tmp_path / "second")
    assert (tmp_path / "first" / "predictions.csv").read_text() == (
        tmp_path / "second" / "predictions.csv"
    ).read_text()


def test_an_encoder_is_exported_once(speech_settings, corpus, tmp_path, monkeypatch):
    """The exported encoder is kept; a damaged copy is made anew, and is the same."""
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    name, _, table = corpus.partition("=")
    utterances = load_corpus(name, table).utterances
    first = learner_of(speech_settings, utterances).backbone
    (kept,) = (tmp_path / "cache" / "backbones").iterdir()
    assert kept.read_bytes() == first
    monkeypatch.setattr("emovox.training.learner.export_backbone", None)
    assert learner_of(speech_settings, utterances).backbone == first
    monkeypatch.undo()
    monkeypatch.setenv("EMOVOX_CACHE", str(tmp_path / "cache"))
    kept.write_bytes(first[: len(first) // 2])
    again = learner_of(speech_settings, utterances).backbone
    assert backbone_digest(again) == backbone_digest(first)
    assert kept.read_bytes() == again


def test_a_name_that_is_no_text(speech_settings, tmp_path):
    """A name that a settings file cannot hold is refused, and nothing is left."""
    settings = dataclasses.replace(speech_settings, name="b\udcff")
    with pytest.raises(ConfigError, match="name: expected text in UTF-8"):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_speech_run_resumes_after_its_last_whole_fold(speech_settings, tmp_path):
    """Killed in the second fold, a resumed run keeps the first one and equals a straight one."""
    settings = dataclasses.replace(speech_settings, protocol="speaker")
    straight = train(settings, tmp_path / "straight")

    def killed(epoch: int, done: int, total: int) -> None:
        raise KilledError

    @contextmanager
    def training(fold: str, n_epochs: int):
        yield Observer() if fold == "s0" else Observer(on_batch=killed)

    with pytest.raises(KilledError):
        train(settings, tmp_path / "killed", training=training)
    assert (tmp_path / "killed" / "s0" / "report.json").exists()
    resumed = train(settings, tmp_path / "killed", resume=True)
    assert resumed["folds"] == straight["folds"]
