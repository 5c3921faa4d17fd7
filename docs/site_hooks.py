"""What the documentation site has beside the pages of docs/, for mkdocs: see mkdocs.yml.

The pages of the repository's top folder and the notebook become pages of the site, and links to
other files lead to the repository. The reference is made of the docstrings of what `emovox`
exports.
"""

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import emovox

REPOSITORY = Path(__file__).resolve().parents[1]
TOP = {  # pages of the top folder, and their names on the site
    "README.md": "index.md",
    "MODEL_CARD.md": "MODEL_CARD.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
}
AREAS = {  # modules of the reference, beside what `emovox` exports
    "Audio": ("emovox.audio",),
    "Corpora": ("emovox.corpora", "emovox.corpora.utterance", "emovox.splits"),
    "Clients": ("emovox.client",),
}
_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the top folder, the reference, and the index for language models."""
    for name, page in TOP.items():
        text = _FRONT_MATTER.sub("", (REPOSITORY / name).read_text(encoding="utf-8"))
        files.append(
            File.generated(config, page, content=_linked(text, "", config.extra["repository"]))
        )
    files.append(File.generated(config, "reference.md", content=_reference()))
    files.append(File.generated(config, "tess.md", content=_notebook("examples/tess.ipynb")))
    llms = (REPOSITORY / "llms.txt").read_text(encoding="utf-8")
    files.append(File.generated(config, "llms.txt", content=llms))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Lead links that leave docs/ to where their files are on the site, or in the repository."""
    if page.file.generated_by:
        return markdown
    return _linked(markdown, posixpath.join("docs", page.file.src_uri), config.extra["repository"])


def _linked(markdown: str, source: str, repository: str) -> str:
    """Rewrite the links of a page that lies at `source` in the repository; "" is the site's top."""
    folder = posixpath.dirname(source)
    depth = source.count("/") - 1  # of the page on the site
    up = "../" * depth if source else ""

    def target(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[1]))
        if path in TOP:
            return up + TOP[path]
        if path.startswith("docs/"):
            return match[1] if source else path.removeprefix("docs/")
        return f"{repository}/blob/main/{path}"

    return _LINK.sub(target, markdown)


def _notebook(name: str) -> str:
    """Return a notebook as a page: its texts, and its code as it stands."""
    cells = json.loads((REPOSITORY / name).read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]).strip() for cell in cells]
    return "\n\n".join(
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell, text in zip(cells, texts, strict=True)
    )


def _reference() -> str:
    """Return the page of the reference: everything exported, then whole modules."""
    exported = set(emovox.__all__) - {"__version__", "Recognizer"}
    names = ["Recognizer", *sorted(exported)]
    lines = ["# Reference", "", "## emovox", ""]
    lines += [f"::: emovox.{name}" for name in names]
    for title, modules in AREAS.items():
        lines += ["", f"## {title}", "", *(f"::: {module}" for module in modules)]
    return "\n".join(lines) + "\n"
