"""The network that tells speakers apart, made from a published one and emotional speech.

The network is GE2E (Wan et al. 2018, arXiv:1710.10467) as Resemblyzer 0.1.4 (Apache 2.0) has it,
three LSTMs over 40 mel bands; the two above the first are turned into 8 bits. Its embeddings are
whitened by the covariance within speakers (WCCN, Hatch et al. 2006), learned from the corpora that
the emotion model was trained on: what differs from one emotion of a speaker to another counts less.

Run with ``python -m emovox.training.voiceprints PRETRAINED``, where PRETRAINED is Resemblyzer's
``pretrained.pt``; the corpora are looked for in EMOVOX_DATA.
"""

import argparse
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import librosa
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from ..audio import RATE
from ..corpora import load_corpora
from ..corpora.utterance import Utterance
from ..errors import AudioError
from ..files import written_whole
from ..turns.voiceprints import MODEL, N_FFT, N_FRAMES, spectra_of
from ..vad import read_speech

_CORPORA = ("ravdess", "emodb", "nemo", "tess")
_PER_SPEAKER = 40  # recordings of each, so that no corpus outweighs the others
_SHRINKAGE = 0.1  # of the covariance towards a multiple of the identity
_SEED = 7
Vectors = NDArray[np.float64]


class Encoder(torch.nn.Module):
    """GE2E's network: power spectra, shape (n, 160, 201), to whitened embeddings, (n, 256)."""

    bands: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        bands = librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=40)
        self.register_buffer("bands", torch.tensor(bands.T.astype(np.float32)))
        self.lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = torch.nn.Linear(256, 256)

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        """Embed windows."""
        _, (hidden, _) = self.lstm(spectra @ self.bands)
        embeddings: torch.Tensor = self.linear(hidden[-1])
        return embeddings

    def whiten(self, mean: Vectors, whitening: Vectors) -> None:
        """Take the whitening, shape (256, 256), into the last layer."""
        weight, bias = (one.detach().numpy() for one in (self.linear.weight, self.linear.bias))
        self.linear.weight.data = torch.tensor(whitening.T @ weight, dtype=torch.float32)
        self.linear.bias.data = torch.tensor(whitening.T @ (bias - mean), dtype=torch.float32)


def read_encoder(pretrained: Path) -> Encoder:
    """Read Resemblyzer's checkpoint."""
    stored = torch.load(pretrained, map_location="cpu", weights_only=True)["model_state"]
    encoder = Encoder()
    names = {name for name in stored if name.partition(".")[0] in ("lstm", "linear")}
    encoder.load_state_dict({name: stored[name] for name in names}, strict=False)
    return encoder.eval()


def export(encoder: Encoder, file: Path) -> None:
    """Write the network as ONNX; the first LSTM and the last layer keep their 32 bits."""
    file.parent.mkdir(parents=True, exist_ok=True)
    example = (torch.zeros(1, N_FRAMES, N_FFT // 2 + 1),)
    with TemporaryDirectory() as folder, written_whole(file) as temporary:
        exact = Path(folder) / "exact.onnx"
        torch.onnx.export(
            encoder,
            example,
            str(exact),
            input_names=["spectra"],
            output_names=["embeddings"],
            dynamic_axes={"spectra": {0: "windows"}, "embeddings": {0: "windows"}},
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(
            exact,
            temporary,
            weight_type=QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=["/lstm/LSTM", "/linear/Gemm", "/MatMul"],
        )


def whitening_of(embeddings: Vectors, speakers: Sequence[str]) -> tuple[Vectors, Vectors]:
    """Return the mean of embeddings, and what makes their covariance within speakers the identity.

    Shapes (n_dimensions,) and (n_dimensions, n_dimensions).
    """
    _, index = np.unique(speakers, return_inverse=True)
    means = np.stack([embeddings[index == one].mean(0) for one in range(index.max() + 1)])
    within = np.cov(embeddings - means[index], rowvar=False)
    n = len(within)
    shrunk = (1 - _SHRINKAGE) * within + _SHRINKAGE * np.trace(within) / n * np.eye(n)
    powers, directions = np.linalg.eigh(shrunk)
    return embeddings.mean(0), directions / np.sqrt(powers)


def embed(file: Path, utterances: Sequence[Utterance]) -> tuple[Vectors, list[str]]:
    """Embed the speech of recordings with an exported network; return the speaker of each row."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    rows, speakers = [], []
    for number, one in enumerate(utterances):
        try:
            spectra = spectra_of(read_speech(one.file).samples, 1.0)
        except AudioError:  # nobody speaks in it, as far as voice activity finds
            continue
        rows.append(session.run(None, {"spectra": spectra})[0])
        speakers += [f"{one.corpus} {one.speaker}"] * len(spectra)
        if number % 200 == 0:
            print(f"{number} of {len(utterances)} recordings", file=sys.stderr)  # noqa: T201
    return np.concatenate(rows).astype(np.float64), speakers


def drawn(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Draw the recordings of each speaker that are heard."""
    rng = np.random.default_rng(_SEED)
    by_speaker = defaultdict(list)
    for one in utterances:
        by_speaker[one.corpus, one.speaker].append(one)
    return [
        own[index]
        for own in by_speaker.values()
        for index in rng.permutation(len(own))[:_PER_SPEAKER]
    ]


def main() -> None:
    """Make the network's file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pretrained", type=Path, help="Resemblyzer's pretrained.pt")
    parser.add_argument("--out", type=Path, default=MODEL)
    arguments = parser.parse_args()
    folder = Path(os.environ.get("EMOVOX_DATA", "../shared/data"))
    corpora = load_corpora([f"{name}={folder / name}" for name in _CORPORA])
    utterances = [one for corpus in corpora for one in corpus.utterances]
    encoder = read_encoder(arguments.pretrained)
    with TemporaryDirectory() as temporary:
        plain = Path(temporary) / "plain.onnx"
        export(encoder, plain)
        embeddings, speakers = embed(plain, drawn(utterances))
    encoder.whiten(*whitening_of(embeddings, speakers))
    export(encoder, arguments.out)


if __name__ == "__main__":
    main()
