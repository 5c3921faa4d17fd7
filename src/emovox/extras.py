"""Optional libraries, and the extra of emovox that installs each of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import MissingExtraError

_LIBRARIES = {
    "train": ("torch", "librosa", "sklearn", "onnx", "matplotlib", "jinja2", "pooch"),
    "serve": ("fastapi", "starlette", "uvicorn", "python_multipart", "prometheus_client"),
    "archive": ("dask", "distributed", "cryptography", "pyarrow", "fsspec"),
    "live": ("platformdirs", "sounddevice"),
}


@contextmanager
def optional() -> Iterator[None]:
    """Import optional libraries inside this block.

    Raises
    ------
    MissingExtraError
        If one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_extra(error) from None


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError:
    """Return an error that names the extra to install.

    Raises
    ------
    ModuleNotFoundError
        `error` itself, if no extra installs its module.
    """
    library = (error.name or "").partition(".")[0]
    for extra, libraries in _LIBRARIES.items():
        if library in libraries:
            return MissingExtraError(
                f"this needs {error.name}; install it with: pip install 'emovox[{extra}]'"
            )
    raise error
