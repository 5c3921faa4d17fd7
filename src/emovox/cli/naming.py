"""Options that choose labels, and that say what the columns and labels of a corpus are called."""

from collections.abc import Sequence
from typing import Annotated

import typer

Label = Annotated[
    list[str] | None, typer.Option("--label", help="Only this label; may be given several times.")
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL,LABEL",
        help="Only these labels; with 'any', or one beyond the nine emotions, your own words are "
        "labels.",
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN,…", help="Your tables' own names of columns, such as file=path."
    ),
]
Words = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="WORD=LABEL,…", help="What words in your data mean: furious=angry."
    ),
]


def listed(text: str | None) -> list[str] | None:
    """Return what an option separates by commas; None where it is not given."""
    return None if text is None else [part.strip() for part in text.split(",")]


def chosen(labels: str | None, label: Sequence[str] | None) -> list[str] | None:
    """Return the labels that were chosen, by one option or the other; None: all."""
    both = [*(listed(labels) or ()), *(label or ())]
    return both or None


def pairs(option: str, values: Sequence[str] | None) -> dict[str, str] | None:
    """Return what an option maps, which separates pairs by commas and may be given again.

    Raises
    ------
    typer.BadParameter
        If a part is no pair, or maps again what is mapped to something else.
    """
    found: dict[str, str] = {}
    for part in [part for value in values or () for part in value.split(",")]:
        name, equals, meaning = (piece.strip() for piece in part.partition("="))
        if not (name and equals and meaning):
            raise typer.BadParameter(f"{option} takes NAME=NAME, got {part.strip()!r}")
        if found.setdefault(name, meaning) != meaning:
            raise typer.BadParameter(f"{option} has two meanings for {name!r}")
    return found or None
