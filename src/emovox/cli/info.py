"""`emovox info`: show a model's card."""

import json
from typing import Annotated, Any

import typer

from .console import say, say_json


def info(
    model: Annotated[
        str | None, typer.Argument(help="A model file, or the name of one that comes with emovox.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
) -> None:
    """Show a model's card: labels, data, figures and limits."""
    from ..model import Model, find_model

    opened = Model.load(model)
    card: dict[str, Any] = json.loads(opened.card.to_json())
    if as_json:
        say_json(card)
        return
    path = find_model(model)
    say(f"{card['name']}  {path.name}, {path.stat().st_size / 1e6:.1f} MB, {opened.fingerprint}")
    for line in _card_lines(card):
        say(line)


def _card_lines(card: dict[str, Any]) -> list[str]:
    figures = ", ".join(f"{name} {value:g}" for name, value in card["figures"].items())
    merged = ", ".join(f"{word} as {label}" for word, label in card["merged"].items())
    corpora = [
        f"  {c['title']}: {c['utterances']} utterances, {c['speakers']} speakers ({c['licence']})"
        for c in card["corpora"]
    ]
    return [
        f"labels: {', '.join(card['labels'])}",
        *([f"counted as: {merged}"] if merged else []),
        f"features: {card['features'].get('kind', 'unknown')}, {card['rate']} Hz",
        f"measured ({card['protocol']}): {figures or 'nothing'}",
        f"certain: from a score of {card['threshold']:g} on; temperature {card['temperature']:.3g}",
        "trained on:",
        *corpora,
        f"licence: {card['licence']}",
        f"made by: emovox {card['emovox_version']} {card['code_revision']}".rstrip(),
        *(["", *card["notes"].splitlines()] if card["notes"] else []),
    ]
