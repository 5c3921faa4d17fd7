"""`emovox page`: the page as a folder that any static host can serve."""

from pathlib import Path
from typing import Annotated

import typer

from .console import progress_bar, say
from .predict import ModelOption


def page(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write the page into.")],
    model: ModelOption = None,
    runtime: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The npm package of onnxruntime-web, if it cannot be fetched from npm.",
        ),
    ] = None,
) -> None:
    """Write the page as files for any static host; it recognises on the visitor's own device.

    onnxruntime-web is fetched once from registry.npmjs.org; its checksum is verified.
    """
    from ..website import write_page

    with progress_bar("onnxruntime-web") as on_progress:
        written = write_page(out, model=model, runtime=runtime, on_progress=on_progress)
    say(
        f"{out}: {written.n_bytes / 1e6:.1f} MB; a first visit transfers "
        f"{written.n_first_visit / 1e6:.1f} MB, later ones nothing"
    )
