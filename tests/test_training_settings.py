"""Settings: read strictly, written so that they read back the same."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from emovox.emotions import EMOTIONS
from emovox.errors import ConfigError
from emovox.splits import PROTOCOLS
from emovox.training.settings import (
    Acoustic,
    AcousticConfig,
    HeadConfig,
    NetworkConfig,
    Settings,
    Speech,
    changes_of,
    read_settings,
    settings_toml,
)

KEYS = [field.name for field in dataclasses.fields(Settings)]
TABLES = {
    "acoustic": Acoustic,
    "acoustic.features": AcousticConfig,
    "acoustic.network": NetworkConfig,
    "speech": Speech,
    "speech.head": HeadConfig,
}
INNER = [(name, field.name) for name, kind in TABLES.items() for field in dataclasses.fields(kind)]


def read(tmp_path: Path, text: str, **changes) -> Settings:
    """Read settings from the text of a file."""
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path, changes)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
POSITIVE = st.floats(1e-6, 1e6)
COUNTS = st.integers(1, 10_000)
ANY_SETTINGS = st.builds(
    Settings,
    corpora=st.lists(TEXTS).map(tuple),
    protocol=st.sampled_from(PROTOCOLS),
    groups=TEXTS,
    n_groups=st.integers(0, 10),
    split=TEXTS,
    labels=st.lists(st.sampled_from(EMOTIONS)).map(tuple),
    map=st.dictionaries(st.sampled_from(EMOTIONS), st.sampled_from(EMOTIONS)),
    seed=st.integers(0, 2**32 - 1),
    threshold=st.floats(0, 1),
    window_s=st.floats(0.1, 100),
    name=TEXTS,
    notes=TEXTS,
    acoustic=st.builds(
        Acoustic,
        epochs=COUNTS,
        patience=COUNTS,
        batch_size=COUNTS,
        learning_rate=POSITIVE,
        network=st.builds(
            NetworkConfig,
            channels=st.lists(COUNTS, min_size=1).map(tuple),
            kernel=st.integers(0, 10).map(lambda n: 2 * n + 1),
            n_lstm=COUNTS,
            dropout=st.floats(0, 0.99),
        ),
    ),
)


class TestRoundTrip:
    """What is written reads back the same."""

    def test_defaults(self, tmp_path):
        """The defaults survive, written or left out."""
        assert read(tmp_path, settings_toml(Settings())) == Settings()
        assert read(tmp_path, "") == Settings()
        assert read_settings(None, {}) == Settings()

    @given(ANY_SETTINGS)
    def test_anything(self, tmp_path_factory, settings):
        """Every valid settings survive, whatever characters and numbers are in them."""
        folder = tmp_path_factory.getbasetemp()
        assert read(folder, settings_toml(settings)) == settings


class TestKinds:
    """A setting without effect on the chosen features is refused, wherever it was given."""

    @pytest.mark.parametrize(
        ("text", "changes", "named"),
        [
            ("", {"features": "speech", "acoustic": {"epochs": 3}}, "acoustic.epochs"),
            ("", {"features": "speech", "acoustic": {"epochs": 50}}, "acoustic.epochs"),
            ("[acoustic]\nepochs = 5", {"features": "speech"}, "acoustic.epochs"),
            ("[acoustic.network]\nn_lstm = 5", {"features": "speech"}, "acoustic.network"),
            ("[speech]\nencoder = 'model.safetensors'", {}, "speech.encoder"),
        ],
    )
    def test_of_the_other_kind(self, tmp_path, text, changes, named):
        """The error names the setting, and both ways out."""
        with pytest.raises(ConfigError, match=rf"{named}: without effect with features = \w+; "):
            read(tmp_path, text, **changes)

    def test_from_python(self):
        """The same holds without a file."""
        with pytest.raises(ConfigError, match=r"acoustic\.epochs: without effect with"):
            Settings(features="speech", acoustic=Acoustic(epochs=3))

    def test_written_for_its_kind(self, tmp_path):
        """A settings file holds the table of its kind alone, and reads back the same."""
        settings = Settings(features="speech", speech=Speech(epochs=5))
        text = settings_toml(settings)
        assert "[acoustic]" not in text
        assert "patience" not in text
        assert read(tmp_path, text) == settings

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("epochs = 3", "write it as acoustic.epochs or speech.epochs"),
            ("patience = 3", "write it as acoustic.patience"),
            ("encoder = 'x'", "write it as speech.encoder"),
            ("[network]\nn_lstm = 5", "write it as acoustic.network"),
            ("[acoustic]\nn_fft = 512", "write it as acoustic.features.n_fft"),
            ("[head]\nprior_seconds = 5", "write it as speech.head"),
        ],
    )
    def test_in_a_former_place(self, tmp_path, text, place):
        """A key where earlier versions had it is refused with the place it has now."""
        with pytest.raises(ConfigError, match=rf"config\.toml: unknown setting .*{place}"):
            read(tmp_path, text)


class TestChanges:
    """The command line is above the file."""

    def test_above_the_file(self, tmp_path):
        """A change wins; None leaves the file's value."""
        text = "seed = 3\nname = 'x'\nlabels = ['sad', 'happy']\n[acoustic]\nepochs = 7"
        changes = {"corpora": ["a=b"], "acoustic": {"patience": 9}}
        settings = read(tmp_path, text, seed=4, name=None, **changes)
        assert (settings.seed, settings.name, settings.labels) == (4, "x", ("sad", "happy"))
        assert settings.corpora == ("a=b",)
        assert settings.acoustic == Acoustic(epochs=7, patience=9)

    def test_zero_is_a_value(self, tmp_path):
        """A seed of 0 on the command line is not nothing."""
        assert read(tmp_path, "seed = 3", seed=0).seed == 0

    def test_table_in_part(self, tmp_path):
        """A table may name some of its keys; the others keep their defaults."""
        network = read(tmp_path, "[acoustic.network]\nn_lstm = 5").acoustic.network
        assert network == dataclasses.replace(NetworkConfig(), n_lstm=5)

    def test_whole_numbers_are_numbers(self, tmp_path):
        """A setting that is a real number takes an integer."""
        settings = read(tmp_path, "window_s = 5\nthreshold = 1")
        assert (settings.window_s, settings.threshold) == (5.0, 1.0)
        assert isinstance(settings.window_s, float)


class TestAssignments:
    """`--set KEY=VALUE`: any setting, typed and checked as in the file."""

    def test_values(self, tmp_path):
        """Numbers, texts and lists need no quotes; tables in the file keep their other keys."""
        text = "name = 'x'\n[acoustic]\nepochs = 7\n[acoustic.network]\nn_lstm = 5\nkernel = 3"
        (tmp_path / "config.toml").write_text(text)
        assigned = changes_of(
            [
                "acoustic.network.n_lstm=9",
                "name = 2024",
                "labels=sad, happy",
                "acoustic.network.channels=8,16",
                "corpora=['a=b']",
                "window_s=5",
                "map.furious=angry",
                "map.hot coffee=sad",
            ]
        )
        settings = read_settings(tmp_path / "config.toml", {"name": "y"}, assigned)
        assert settings.acoustic.network == NetworkConfig(n_lstm=9, kernel=3, channels=(8, 16))
        assert (settings.name, settings.labels) == ("2024", ("sad", "happy"))
        assert (settings.corpora, settings.window_s) == (("a=b",), 5.0)
        assert settings.acoustic.epochs == 7
        assert settings.map == {"furious": "angry", "hot coffee": "sad"}

    @pytest.mark.parametrize(
        ("assignment", "reason"),
        [
            ("seed", "expected a setting as KEY=VALUE, got 'seed'"),
            ("=3", "expected a setting as KEY=VALUE"),
            ("acoustic.=3", "expected a setting as KEY=VALUE"),
            ("seed=x", "seed: expected int, got 'x'"),
            ("seed=1.5", "seed: expected int, got 1.5"),
            ("seed=-1", "seed: expected 0 to"),
            ("epochs=3", "unknown setting epochs; write it as acoustic.epochs"),
            ("acoustic.none=3", "unknown setting acoustic.none"),
            ("acoustic=3", "acoustic: expected the name of a setting"),
            ("seed.more=3", "seed: expected int"),
            ("speech.epochs=3", "without effect with features = acoustic"),
        ],
    )
    def test_refused(self, assignment, reason):
        """A mistake is told as for the file."""
        with pytest.raises(ConfigError, match=re.escape(reason)):
            read_settings(None, changes_of([assignment]))

    def test_twice(self):
        """A setting that is set twice is refused."""
        with pytest.raises(ConfigError, match="seed: set twice"):
            changes_of(["seed=1", "seed=2"])
        with pytest.raises(ConfigError, match=r"seed\.more\.yet: set twice"):
            changes_of(["seed=1", "seed.more.yet=2"])

    def test_words_with_spaces(self, tmp_path):
        """A mapped word may be any text; the file that is written reads back the same."""
        settings = Settings(map={"hot coffee": "sad", "Ärger": "angry"})
        path = tmp_path / "again.toml"
        path.write_text(settings_toml(settings), encoding="utf-8")
        assert read_settings(path, {}) == settings


class TestRefusals:
    """One line that says what is wrong, and where."""

    @pytest.mark.parametrize(
        "table", ["", "[acoustic]\n", "[acoustic.network]\n", "[acoustic.features]\n"]
    )
    def test_unknown_key(self, tmp_path, table):
        """An unknown key is named, with those that are known, on every level."""
        with pytest.raises(
            ConfigError, match=r"config\.toml: unknown setting .*epoch_s; known are"
        ):
            read(tmp_path, f"{table}epoch_s = 3")

    @pytest.mark.parametrize("key", KEYS)
    def test_wrong_type(self, tmp_path, key):
        """A date is no value of any setting, and the key is named."""
        with pytest.raises(ConfigError, match=f"config.toml: {key}: expected"):
            read(tmp_path, f"{key} = 1979-05-27")

    @pytest.mark.parametrize(("table", "key"), INNER)
    def test_wrong_type_in_a_table(self, tmp_path, table, key):
        """So in a table."""
        with pytest.raises(ConfigError, match=f"{key}: expected"):
            read(tmp_path, f"[{table}]\n{key} = 1979-05-27", features=table.partition(".")[0])

    @pytest.mark.parametrize("key", [key for key in KEYS if key not in ("columns", "map")])
    def test_boolean(self, tmp_path, key):
        """A boolean is no number, no text and no list."""
        with pytest.raises(ConfigError, match=key):
            read(tmp_path, f"{key} = true")

    @pytest.mark.parametrize(
        "text",
        [
            "features = 'magic'",
            "protocol = 'none'",
            "labels = ['sad', 'a;b']",
            "labels = ['any', 'sad']",
            "labels = ['Sad']",
            "labels = [1]",
            "labels = 'sad'",
            "map = {calm = 'still'}",
            "map = {calm = 1}",
            "map = {still = 'Calm'}",
            "columns = {file = 1}",
            "columns = {path = 'file'}",
            "columns = {file = ''}",
            "columns = {file = 'a', speaker = 'A'}",
            "seed = -1",
            "seed = 4294967296",
            "seed = 1.0",
            "[acoustic]\nepochs = 0",
            "[acoustic]\npatience = 0",
            "[acoustic]\nbatch_size = -1",
            "[acoustic]\nlearning_rate = 0.0",
            "[acoustic]\nlearning_rate = nan",
            "[acoustic]\nlearning_rate = inf",
            "window_s = 0",
            "window_s = 0.01",
            "window_s = inf",
            "threshold = 1.1",
            "threshold = nan",
            "n_groups = -1",
            "acoustic = 3",
            "acoustic.network = 3",
            "[acoustic.network]\nchannels = []",
            "[acoustic.network]\nchannels = [0]",
            "[acoustic.network]\nchannels = [1.5]",
            "[acoustic.network]\nkernel = 4",
            "[acoustic.network]\nkernel = -1",
            "[acoustic.network]\nn_lstm = 0",
            "[acoustic.network]\ndropout = 1.0",
            "[acoustic.network]\ndropout = nan",
            "[acoustic.features]\nn_fft = 0",
            "[acoustic.features]\nn_fft = 1999",
            "[acoustic.features]\nhop = 0",
            "[acoustic.features]\nhop = 2000",
            "[acoustic.features]\nn_mels = 0",
            "[acoustic.features]\nn_mfcc = 81",
            "[acoustic.features]\nn_mfcc = 0",
            "[acoustic.features]\nn_chroma = 7",
            "[acoustic.features]\nn_bands = 0",
            "[acoustic.features]\nn_bands = 8",
            "[acoustic.features]\ncontrast_fmin_hz = 0",
            "[acoustic.features]\ncontrast_fmin_hz = 1",
            "[acoustic.features]\ncontrast_fmin_hz = inf",
            "[acoustic.features]\ncontrast_quantile = 0",
            "[acoustic.features]\ncontrast_quantile = 0.9",
        ],
    )
    def test_out_of_range(self, tmp_path, text):
        """A value no run can be made of is refused with what was expected."""
        with pytest.raises(ConfigError, match=r"config\.toml: .*: expected .*, got ") as caught:
            read(tmp_path, text)
        assert "\n" not in str(caught.value)

    def test_on_the_command_line(self):
        """Without a file, no file is named."""
        with pytest.raises(ConfigError, match=r"^seed: expected 0 to 4294967295, got -1$"):
            read_settings(None, {"seed": -1})


def test_read_without_torch():
    """Settings are data: reading them needs none of the libraries that train."""
    code = "import sys; sys.modules['torch'] = None; import emovox.training.settings"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class TestFiles:
    """Files that are no settings."""

    @pytest.mark.parametrize("text", ["seed", "seed = ", "= 3", "[network", "seed = 1\nseed = 2"])
    def test_not_toml(self, tmp_path, text):
        """What is not TOML is said to be so."""
        with pytest.raises(ConfigError, match="not valid TOML"):
            read(tmp_path, text)

    def test_missing(self, tmp_path):
        """A missing file is named."""
        with pytest.raises(ConfigError, match=r"none\.toml: cannot read the settings"):
            read_settings(tmp_path / "none.toml", {})

    def test_folder(self, tmp_path):
        """A folder is no file."""
        with pytest.raises(ConfigError, match="cannot read the settings"):
            read_settings(tmp_path, {})

    def test_not_utf_8(self, tmp_path):
        """Bytes that are no text are no settings."""
        (tmp_path / "config.toml").write_bytes(b"name = '\xff'")
        with pytest.raises(ConfigError, match="cannot read the settings"):
            read_settings(tmp_path / "config.toml", {})


class TestAcoustic:
    """Feature settings that pass the check work."""

    @pytest.mark.filterwarnings("ignore:Empty filters")  # too many bands for the frame
    @hypothesis_settings(max_examples=60)
    @given(
        st.fixed_dictionaries(
            {
                "n_fft": st.sampled_from([64, 100, 256, 400, 512, 1024]),
                "hop": st.sampled_from([16, 50, 100, 256]),
                "n_mels": st.integers(20, 90),
                "n_mfcc": st.integers(1, 40),
                "n_chroma": st.sampled_from([12, 24]),
                "n_bands": st.integers(1, 8),
                "contrast_fmin_hz": st.floats(50, 1_000),
                "contrast_quantile": st.floats(0.01, 0.5),
            }
        )
    )
    def test_all_that_pass_can_be_built(self, sizes):
        """Features can be made of every configuration that is not refused, and are finite."""
        import torch

        from emovox.training.acoustic.features import AcousticFeatures

        try:
            config = AcousticConfig(**sizes)
        except ConfigError:
            return
        with torch.inference_mode():
            audio = torch.linspace(-0.1, 0.1, 2500)[None]
            frames, _ = AcousticFeatures(config)(audio, torch.tensor([2500]))
        assert frames.shape[2] == config.n_features
        assert torch.isfinite(frames).all()
