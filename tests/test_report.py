"""The report: numbers for programs, and a page that stands alone and hides nothing."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from emovox.errors import EmovoxError
from emovox.evaluation.metrics import summarise
from emovox.evaluation.report import write_report, write_summary
from emovox.evaluation.results import Results, concatenate
from emovox.evaluation.words import PROTOCOLS, percent

pytestmark = pytest.mark.usefixtures("undrawn")

LABELS = ("angry", "happy", "sad")
HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": 0.5,
        "val_loss": 1.0,
        "val_accuracy": 0.5,
    }
    for epoch in range(1, 4)
]
FACTS = {
    "protocol": "random",
    "fold": "",
    "seed": 3,
    "n_train": 80,
    "n_val": 10,
    "n_test": 60,
    "validation": "clips of the training speakers",
    "settings": {"features": {"kind": "acoustic"}, "out": Path("runs/a"), "rate": np.float32(0.5)},
    "versions": {"torch": "2.13.0"},
    "corpora": [{"name": "tess", "licence": "CC BY-NC-ND 4.0"}],
    "left_out": {"calm": 7},
    "problems": ["2 recordings are missing."],
    "model": {"name": "m", "fingerprint": "abc"},
    "command": "emovox train --corpus tess=data",
}


def make_results(n=60, wrong=(), speakers=("A", "B"), file="{}.wav"):
    """Answers that are right but for the recordings named, with scores that fall slowly."""
    truth = np.arange(n) % 3
    answers = truth.copy()
    answers[list(wrong)] = (truth[list(wrong)] + 1) % 3
    probabilities = np.full((n, 3), 0.0, dtype=np.float32)
    scores = np.linspace(0.9, 0.6, n)
    probabilities[:] = ((1 - scores) / 2)[:, None]
    probabilities[np.arange(n), answers] = scores
    return Results(
        LABELS,
        truth,
        probabilities,
        tuple(file.format(i) for i in range(n)),
        tuple(speakers[i % len(speakers)] for i in range(n)),
        ("tess",) * n,
        scores > 0.62,
    )


class Page(HTMLParser):
    """What a browser would see: tags with attributes, text, and whether all is closed."""

    VOID = frozenset({"meta", "img", "source", "br", "link", "input"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).replace("\N{NO-BREAK SPACE}", " ").split())

    def handle_starttag(self, tag, attributes):
        """Note a tag."""
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Every end belongs to the tag opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Collect text that is shown."""
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag):
        """Attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(directory):
    """The parsed page of a report."""
    page = Page((directory / "report.html").read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_json_holds_facts_and_numbers(tmp_path):
    """report.json is what is returned: the facts as given beside the numbers of metrics."""
    results = make_results(wrong=(4, 7))
    report = write_report(tmp_path, results, facts=FACTS, history=HISTORY)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == report
    for name, value in summarise(results, seed=3).items():
        assert report[name] == value
    for name in ("protocol", "seed", "n_train", "n_val", "n_test", "versions", "left_out"):
        assert report[name] == FACTS[name]
    assert report["settings"] == {"features": {"kind": "acoustic"}, "out": "runs/a", "rate": 0.5}


@pytest.mark.pictures
def test_files_of_a_report(tmp_path):
    """JSON, page and figures are written, the training curves only where something was trained."""
    write_report(tmp_path / "a" / "b", make_results(), facts=FACTS, history=HISTORY)
    write_report(tmp_path / "c", make_results(), facts={})
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    pictures = ("confusion", "reliability", "coverage")
    files = {"report.json", "report.html"}
    files |= {f"figures/{name}.{suffix}" for name in pictures for suffix in ("png", "svg")}
    curves = {"figures/training.png", "figures/training.svg"}
    assert names == {f"a/b/{name}" for name in files | curves} | {f"c/{name}" for name in files}


@pytest.mark.pictures
def test_page_stands_alone(tmp_path):
    """Nothing is loaded from elsewhere: no script, no link to a host, pictures within."""
    write_report(tmp_path, make_results(), facts=FACTS, history=HISTORY)
    page = page_of(tmp_path)
    assert not page.all("script") + page.all("link") + page.all("iframe")
    pictures = [a["src"] for a in page.all("img")] + [a["srcset"] for a in page.all("source")]
    assert len(pictures) == 8
    assert all(picture.startswith("data:image/svg+xml;base64,") for picture in pictures)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "http://" not in html
    assert "https://" not in html
    assert "url(" not in html


@pytest.mark.pictures
def test_page_is_accessible(tmp_path):
    """The page has a language, texts for its pictures, headers in every table, one heading 1."""
    write_report(tmp_path, make_results(wrong=(1,)), facts=FACTS, history=HISTORY)
    page = page_of(tmp_path)
    assert page.all("html") == [{"lang": "en"}]
    assert all(len(image["alt"]) > 40 for image in page.all("img"))
    assert all("scope" in header for header in page.all("th"))
    assert len(page.all("h1")) == 1
    assert any(meta.get("name") == "viewport" for meta in page.all("meta"))


def test_page_says_the_figures_in_words(tmp_path):
    """The page begins with how often the model was right and how sure that is."""
    write_report(tmp_path, make_results(wrong=(4, 7)), facts=FACTS)
    text = page_of(tmp_path).text
    words = (
        "On 60 recordings it had never seen, the model named the right emotion 58 times (96.7 %)"
    )
    assert words in text
    assert "found by resampling the recordings" in text
    assert "Always naming the most common emotion would be right 33.3 % of the time." in text
    assert "The best epoch was chosen on clips of the training speakers." in text
    assert "calm: 7" in text
    assert "2 recordings are missing." in text
    assert "features.kind" in text
    assert "CC BY-NC-ND 4.0" in text


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_page_says_what_the_protocol_shows(tmp_path, protocol):
    """Each protocol has its own words; where voices are on both sides, they are a warning."""
    write_report(tmp_path, make_results(), facts={"protocol": protocol})
    page = page_of(tmp_path)
    assert all(sentence in page.text for sentence in PROTOCOLS[protocol])
    warned = any("warns" in a.get("class", "") for a in page.all("section"))
    assert warned == (protocol in ("random", "sentence", "table"))


def test_page_claims_nothing_it_does_not_know(tmp_path):
    """Without a protocol the recordings are not said to be unseen."""
    write_report(tmp_path, make_results(), facts={})
    text = page_of(tmp_path).text
    assert "never seen" not in text
    assert "cannot tell whether the model was trained on these recordings" in text


def test_answers_that_are_all_right(tmp_path):
    """Without a mistake the page gives no false certainty of 100 %, but the rule of three."""
    write_report(tmp_path, make_results(), facts=FACTS)
    text = page_of(tmp_path).text
    assert "the true share of mistakes may still be up to about 5.0 %" in text
    assert "Every emotion was recognised every time." in text
    assert "There are none." in text
    assert "little to judge them by" in text


def test_page_says_what_abstaining_gains(tmp_path):
    """Accuracy at 80 % coverage stands beside that of all, also where it is no higher."""
    # The scores fall from the first recording to the last.
    cases = {
        "it is right 87.5 % of the time instead of 83.3 %.": (0, 9, 18, 27, 36, 45, *range(56, 60)),
        "it is right 100 % of the time, as often as when answering everything.": (),
        "it is right 87.5 % of the time instead of 90.0 %. Here its scores do not tell": range(6),
    }
    for sentence, wrong in cases.items():
        report = write_report(tmp_path, make_results(wrong=wrong), facts=FACTS)
        text = page_of(tmp_path).text
        assert f"Answering only the 80 % it is surest of, {sentence}" in text
        assert report["coverage_curve"][0]["accuracy"] == report["accuracy"]
        assert "It called itself uncertain on 4 of 60 recordings" in text


def test_few_voices_are_said_to_be_few(tmp_path):
    """New voices, but two of them: the interval is said not to cover others."""
    results = make_results(wrong=(3,))
    write_report(tmp_path, results, facts={"protocol": "speaker"})
    assert "The interval covers only 2 voices" in page_of(tmp_path).text
    many = make_results(wrong=(3,), speakers=tuple("ABCDEF"))
    write_report(tmp_path, many, facts={"protocol": "speaker"})
    text = page_of(tmp_path).text
    assert "The interval covers only" not in text
    assert "resampling the speakers" in text


def test_worst_mistakes_come_first(tmp_path):
    """The ten wrong answers with the highest score are listed, the surest first."""
    results = make_results(wrong=range(5, 40, 2))
    report = write_report(tmp_path, results, facts=FACTS)
    files = [mistake["file"] for mistake in report["worst_mistakes"]]
    assert files == [f"{i}.wav" for i in range(5, 25, 2)]
    worst = report["worst_mistakes"][0]
    assert (worst["truth"], worst["answer"]) == ("sad", "angry")
    assert worst["score"] == pytest.approx(float(results.probabilities[5].max()))
    text = page_of(tmp_path).text
    assert "Of 18 wrong answers, the 10 the model was surest of." in text


def test_names_are_escaped(tmp_path):
    """A file, speaker or fold that is named like HTML is shown, not run."""
    evil = "<script>alert(1)</script>"
    results = make_results(wrong=(0,), speakers=(evil,), file="<img onerror=x>{}.wav")
    facts = {**FACTS, "problems": [evil], "fold": evil, "settings": {"<b>": "<i>"}}
    write_report(tmp_path, results, facts=facts)
    page = page_of(tmp_path)
    assert not page.all("script") + page.all("b")[3:] + page.all("i")[3:]
    assert len(page.all("img")) == 3
    assert "<img onerror=x>0.wav" in page.text


def test_emotions_absent_from_the_test(tmp_path):
    """An emotion without recordings is shown without figures and does not count in the mean."""
    results = make_results(wrong=(0,))
    kept = results.truth != 2
    results = Results(
        LABELS,
        results.truth[kept],
        results.probabilities[kept],
        results.files[:40],
        results.speakers[:40],
        results.corpora[:40],
        results.certain[kept],
    )
    report = write_report(tmp_path, results, facts=FACTS)
    assert report["per_emotion"]["sad"]["support"] == 0
    assert report["uar"] == pytest.approx((19 / 20 + 1) / 2)
    assert "sad 0 – – –" in page_of(tmp_path).text


def test_one_recording_of_an_unknown_speaker(tmp_path):
    """The smallest report there is can be written and read."""
    report = write_report(tmp_path, make_results(n=1, wrong=(0,), speakers=("",)), facts={})
    assert report["per_speaker"]["unknown"]["n"] == 1
    assert "On 1 recording, the model named the right emotion 0 times" in page_of(tmp_path).text


@pytest.mark.pictures
def test_report_is_deterministic(tmp_path):
    """The same results give the same files, to the byte."""
    for name in ("a", "b"):
        write_report(tmp_path / name, make_results(wrong=(2,)), facts=FACTS, history=HISTORY)
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_unwritable_directory(tmp_path):
    """A folder that cannot be made gives one plain error."""
    (tmp_path / "taken").touch()
    with pytest.raises(EmovoxError, match="cannot be written"):
        write_report(tmp_path / "taken" / "run", make_results(), facts=FACTS)


def test_summary_over_folds(tmp_path):
    """The summary holds each fold, their mean and spread, and the pooled numbers."""
    facts = {**FACTS, "protocol": "speaker"}
    folds = {"OAF": make_results(30, wrong=(0,)), "Y AF": make_results(60, wrong=range(0, 60, 3))}
    reports = {
        name: write_report(tmp_path / name, results, facts={**facts, "fold": name})
        for name, results in folds.items()
    }
    pooled = concatenate(list(folds.values()))
    summary = write_summary(tmp_path, reports, pooled, facts=facts)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == summary
    uars = [report["uar"] for report in reports.values()]
    assert summary["uar"] == summary["mean"]["uar"] == pytest.approx(np.mean(uars))
    assert summary["mean"]["uar_std"] == pytest.approx(np.std(uars, ddof=1))
    assert summary["folds"]["OAF"]["accuracy"] == reports["OAF"]["accuracy"]
    assert summary["pooled"] == summarise(pooled, seed=3)
    assert summary["n_test"] == 90
    assert [fold["n_test"] for fold in summary["folds"].values()] == [30, 60]
    page = page_of(tmp_path)
    links = [a["href"] for a in page.all("a")]
    assert links == ["./OAF/report.html", "./Y%20AF/report.html"]
    assert "In 2 folds, each tested on recordings it had never seen" in page.text
    assert "Over all folds, 69 of 90 answers were right" in page.text


def test_summary_of_running_baselines(tmp_path):
    """Measured with running baselines in every fold, the summary has their mean, too."""
    results = make_results(30, wrong=(0,))
    known = {"running_baseline": {"running_test_uar": 0.98, "running_test_accuracy": 0.97}}
    reports = {
        name: write_report(tmp_path / name, results, facts={**FACTS, "fold": name} | facts)
        for name, facts in (("a", known), ("b", {"running_baseline": {"running_test_uar": 0.9}}))
    }
    both = concatenate([results, results])
    summary = write_summary(tmp_path, reports, both, facts=FACTS)
    assert summary["mean"]["running_uar"] == pytest.approx(0.94)
    assert summary["folds"]["a"]["running_uar"] == 0.98
    page = page_of(tmp_path)
    assert "the UAR is 94.0 % instead of" in page.text
    assert "UAR, running baseline" in page.text
    reports["b"]["running_baseline"] = {}
    assert "running_uar" not in write_summary(tmp_path, reports, both, facts=FACTS)["mean"]
    assert "running baseline" not in page_of(tmp_path).text


def test_an_epoch_that_was_not_chosen_is_not_called_best(tmp_path):
    """Where validation was only watched, the picture tells the last epoch instead of the best."""
    facts = FACTS | {"validation": None}
    write_report(tmp_path, make_results(wrong=(4,)), facts=facts, history=HISTORY)
    alts = [image["alt"] for image in page_of(tmp_path).all("img")]
    assert not any("best epoch" in alt for alt in alts)
    assert any(f"The last epoch is {HISTORY[-1]['epoch']:.0f}" in alt for alt in alts)


def test_percent_is_100_only_where_it_is():
    """Rounding never turns a mistake into none, nor a hit."""
    assert [percent(x) for x in (1.0, 0.99999, 0.9985, 0.5, 0.00001, 0.0)] == [
        f"{text}\N{NO-BREAK SPACE}%" for text in ("100", "99.99", "99.9", "50.0", "0.01", "0")
    ]
