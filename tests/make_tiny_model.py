"""Make tests/tiny.onnx, the untrained model of the tests: python tests/make_tiny_model.py."""

from pathlib import Path

import torch

from conftest import LABELS, TINY
from emovox.card import SCHEMA, Card
from emovox.training.acoustic.features import AcousticFeatures
from emovox.training.export import export_model
from emovox.training.network import EmotionNetwork, WaveformModel
from emovox.training.settings import AcousticConfig, NetworkConfig


def make_tiny_model(path: Path) -> None:
    """Write the model file; its weights are drawn from a seed."""
    config = AcousticConfig()
    card = Card(
        schema=SCHEMA,
        name="tiny",
        labels=LABELS,
        features={"kind": "acoustic"},
        rate=16_000,
        window_s=4.0,
        temperature=1.5,
        threshold=0.3,
        baseline=(0.0,) * config.n_features,
        baseline_seconds=4.0,
        corpora=(
            {
                "name": "made",
                "title": "Made-up noise",
                "licence": "free",
                "utterances": 10,
                "speakers": 20,
            },
        ),
        protocol="speaker",
        figures={"test_uar": 0.5},
        notes="An untrained model for tests.",
        licence="free",
        emovox_version="0.1.0",
        code_revision="abc",
    )
    export_model(WaveformModel(AcousticFeatures(config), _network(config)).eval(), card, path)


def _network(config: AcousticConfig) -> EmotionNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(20240229)
        network = EmotionNetwork(
            config.n_features, len(LABELS), NetworkConfig(channels=(8, 8), n_lstm=4)
        )
    network.standardise_by(
        torch.full((config.n_features,), -10.0), torch.full((config.n_features,), 10.0)
    )
    torch.nn.init.normal_(
        network.output.weight, std=3.0, generator=torch.Generator().manual_seed(1)
    )  # so that the scores of different sounds differ
    return network


if __name__ == "__main__":
    make_tiny_model(TINY)
