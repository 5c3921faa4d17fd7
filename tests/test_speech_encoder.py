"""The speech features: nothing but the speech itself has an effect on them."""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from emovox.errors import ModelError
from emovox.training.speech.encoder import (
    SpeechConfig,
    SpeechStatistics,
    find_weights,
    load_encoder,
    sinusoids,
    speech_level,
)
from made_corpus import voice

CONFIG = SpeechConfig(n_layers=2, max_seconds=4.0)
WIDTH = 128


def make_module() -> SpeechStatistics:
    """Make speech features with random weights."""
    torch.manual_seed(0)
    return SpeechStatistics(CONFIG, WIDTH).eval().requires_grad_(False)


MODULE = make_module()


def clip(emotion: str = "angry") -> torch.Tensor:
    """Return half a second of a made-up voice."""
    return torch.from_numpy(voice(emotion, 170.0, np.random.default_rng(1)))[None]


def statistics(audio: torch.Tensor) -> torch.Tensor:
    """Return the statistics of audio of which everything counts."""
    return MODULE(audio, torch.full((len(audio),), audio.shape[1]))


@given(before=st.integers(0, 9000), after=st.integers(0, 9000))
@settings(max_examples=15)
def test_silence_around_has_no_effect(before, after):
    """Zeros before and behind a clip change nothing."""
    padded = torch.nn.functional.pad(clip(), (before, after))
    torch.testing.assert_close(statistics(padded), statistics(clip()), atol=1e-5, rtol=1e-4)


def test_neighbours_and_padding_have_no_effect():
    """A clip's statistics are the same alone and in a batch with a longer one."""
    batch = torch.zeros(2, 30_000)
    batch[0, : clip().shape[1]] = clip()
    batch[1] = 0.1 * torch.randn(30_000)
    together = MODULE(batch, torch.tensor([clip().shape[1], 30_000]))
    torch.testing.assert_close(together[:1], statistics(clip()), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("gain_db", [-12.0, -2.0, 2.0, 6.0])
def test_level_has_no_effect(gain_db):
    """A recording made louder or softer has nearly the same statistics."""
    louder = clip() * 10 ** (gain_db / 20)
    torch.testing.assert_close(statistics(louder), statistics(clip()), atol=1e-2, rtol=1e-2)


def test_one_click_does_not_change_every_frame():
    """The level is that of the speech: a single loud sample hardly moves it."""
    power = torch.ones(1, 100)
    clicked = power.clone()
    clicked[0, 50] = 30.0
    mask = torch.ones(1, 100)
    assert speech_level(clicked, mask).item() < 1.4
    assert speech_level(power, mask).item() == pytest.approx(1.0)


def test_pauses_do_not_lower_the_level():
    """Frames of silence between words do not count into the level of the speech."""
    power = torch.full((1, 100), 1e-4)
    power[0, ::4] = 1.0
    assert speech_level(power, torch.ones(1, 100)).item() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("n_samples", [1, 100, 5000])
def test_the_shortest_and_silent_clips_are_finite(n_samples):
    """Clips of a sample or of silence give numbers, not NaN."""
    assert torch.isfinite(statistics(torch.full((1, n_samples), 0.2))).all()
    assert torch.isfinite(statistics(torch.zeros(1, n_samples))).all()


def test_speech_beyond_the_positional_table_is_left_out():
    """A clip longer than the table is heard up to its end."""
    long = torch.cat([clip()] * 12, 1)
    assert torch.isfinite(statistics(long)).all()


def test_weights_are_loaded_whole(tmp_path):
    """Weights of the hub, whatever stands before `encoder.` in their names, give the same."""
    weights = {f"model.encoder.{k}": v.half() for k, v in MODULE.state_dict().items()}
    save_file(weights, tmp_path / "model.safetensors")
    loaded = load_encoder(tmp_path / "model.safetensors", CONFIG)
    audio = clip()
    count = torch.tensor([audio.shape[1]])
    torch.testing.assert_close(loaded(audio, count), statistics(audio), atol=0.05, rtol=0.05)


@pytest.mark.parametrize("width", [64, 192])
def test_the_width_is_that_of_the_weights(tmp_path, width):
    """Encoders of any size are loaded; so many numbers come out of each layer."""
    made = SpeechStatistics(CONFIG, width)
    save_file({f"encoder.{k}": v for k, v in made.state_dict().items()}, tmp_path / "w.safetensors")
    loaded = load_encoder(tmp_path / "w.safetensors", CONFIG)
    found = loaded(clip(), torch.tensor([clip().shape[1]]))
    assert found.shape == (1, loaded.n_statistics) == (1, 2 * 2 * width)


def test_int8_matrices_have_a_scale_a_row(tmp_path):
    """Matrices in int8 are multiplied by the scale of each row that stands beside them."""
    exact, kept = {}, {}
    for name, value in MODULE.state_dict().items():
        exact[f"encoder.{name}"] = kept[f"encoder.{name}"] = value
        if value.dim() == 2:
            scale = (value.abs().amax(1) / 127).half()
            whole = (value / scale.float()[:, None]).round().to(torch.int8)
            exact[f"encoder.{name}"] = whole.float() * scale.float()[:, None]
            kept |= {f"encoder.{name}": whole, f"encoder.{name}.scale": scale}
    save_file(exact, tmp_path / "exact.safetensors")
    save_file(kept, tmp_path / "int8.safetensors")
    count = torch.tensor([clip().shape[1]])
    one, other = (
        load_encoder(tmp_path / f"{name}.safetensors", CONFIG)(clip(), count)
        for name in ("exact", "int8")
    )
    torch.testing.assert_close(one, other)


def test_positions_are_sinusoids():
    """The table is whisper's: sines of falling speed, then their cosines."""
    table = sinusoids(100, 64)
    assert table.shape == (100, 64)
    torch.testing.assert_close(table[:, 0], torch.arange(100.0).sin())
    torch.testing.assert_close(table[:, 32], torch.arange(100.0).cos())
    torch.testing.assert_close(table[:, 31], (torch.arange(100.0) / 10_000).sin())


def with_pause(noise_db: float) -> torch.Tensor:
    """Return two words around a pause of 0.4 s, in whose middle there is noise at this level."""
    word = clip()
    pause = torch.zeros(1, 6400)
    torch.manual_seed(3)
    pause[:, 1600:4800] = torch.randn(1, 3200) * word.square().mean().sqrt()
    return torch.cat([word, pause * 10 ** (noise_db / 20), word], 1)


def test_a_pause_between_words_does_not_count():
    """Noise far below the speech is neither attended to nor pooled; a louder sound is."""
    silent, faint, loud = (statistics(with_pause(level)) for level in (-200.0, -25.0, -10.0))
    torch.testing.assert_close(faint, silent, atol=1e-5, rtol=1e-4)
    assert (loud - silent).abs().max() > 0.01


def test_other_weights_are_refused(tmp_path):
    """A missing file, another file, and other weights are one clear error each."""
    with pytest.raises(ModelError, match="cannot read"):
        load_encoder(tmp_path / "nothing.safetensors", CONFIG)
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ModelError, match="cannot read"):
        load_encoder(tmp_path / "text.safetensors", CONFIG)
    save_file({"encoder.conv1.weight": torch.zeros(2)}, tmp_path / "few.safetensors")
    with pytest.raises(ModelError, match="expected a whisper encoder"):
        load_encoder(tmp_path / "few.safetensors", CONFIG)
    wrong = {f"encoder.{k}": v for k, v in MODULE.state_dict().items()}
    wrong["encoder.conv1.weight"] = torch.zeros(3, 3)
    save_file(wrong, tmp_path / "wrong.safetensors")
    with pytest.raises(ModelError, match="expected a whisper encoder"):
        load_encoder(tmp_path / "wrong.safetensors", CONFIG)


@pytest.mark.corpora
def test_real_weights_hear_a_difference(corpora_root):
    """With the real weights, another way of speaking is far from a gain or a shift."""
    default = corpora_root.parent / "weights" / "whisper-tiny-encoder.safetensors"
    path = Path(os.environ.get("EMOVOX_ENCODER", default))
    if not path.exists():
        pytest.skip("the encoder's weights are not here; EMOVOX_ENCODER names their file")
    module = load_encoder(path, SpeechConfig())

    def run(audio: torch.Tensor) -> torch.Tensor:
        return module(audio, torch.tensor([audio.shape[1]]))

    same = (run(clip() * 0.5) - run(clip())).norm()
    other = (run(clip("sad")) - run(clip())).norm()
    assert other > 20 * same


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Run a hub on this machine, whose files lie in the folder that is given."""
    folder = tmp_path / "hub"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        yield folder
        server.shutdown()
        thread.join()


def test_weights_are_fetched_from_the_hub_once(hub, tmp_path):
    """A model's name is fetched into the folder, and not again when the hub is gone."""
    file = hub / "openai" / "whisper-tiny" / "resolve" / "main" / "model.safetensors"
    file.parent.mkdir(parents=True)
    save_file({"encoder.conv1.bias": torch.arange(3.0)}, file)
    found = find_weights("openai/whisper-tiny", tmp_path / "kept")
    assert found.read_bytes() == file.read_bytes()
    file.unlink()
    assert find_weights("openai/whisper-tiny", tmp_path / "kept") == found


def test_a_hub_without_the_weights_is_named(hub, tmp_path):
    """What the hub does not have is an error that says what to do, and leaves nothing behind."""
    with pytest.raises(ModelError, match=r"nobody/nothing.*by hand"):
        find_weights("nobody/nothing", tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*"))


def test_a_file_is_taken_as_it_is(tmp_path):
    """A path is no name on the hub, whether there is a file or not."""
    for path in (tmp_path / "weights.safetensors", Path("weights.safetensors")):
        assert find_weights(str(path), tmp_path) == path
