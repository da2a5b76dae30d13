"""Where the benchmarks' data are on this machine, and how a file of them is read.

The folder is the one that is named (`--data`), else the one that LLMCOMPILER_DATA names, else the one that
`llmcompiler bench fetch` has filled.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from llmcompiler.bench.sources import SOURCES
from llmcompiler.errors import UsageError

FOLDER_VARIABLE = "LLMCOMPILER_DATA"

T = TypeVar("T")


def fetch_folder(named: str | Path | None = None) -> Path:
    """Return where the data are to be downloaded to: the folder named, else LLMCOMPILER_DATA's, else one of the user's.

    Raises `UsageError` if the user has no home folder.
    """
    said = named or os.environ.get(FOLDER_VARIABLE)
    if said:
        return Path(said)
    try:
        return Path.home() / ".cache" / "llmcompiler" / "data"
    except RuntimeError as error:
        raise UsageError(f"there is no home folder for the data; name a folder, or set {FOLDER_VARIABLE}") from error


def read_data(name: str, read: Callable[[str], T], folder: str | Path | None = None) -> T:
    """Return what `read` makes of the text of a file of the data folder.

    name: as in `SOURCES`. folder: None for the one that LLMCOMPILER_DATA names or `llmcompiler bench fetch` has filled.
    Raises `UsageError`, which says where the file is to be had, if it is missing or `read` cannot read it.
    """
    home = f"get it from {SOURCES[name].home}, or by `llmcompiler bench fetch`"
    path = _known_folder(name, folder) / name
    try:
        return read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); {home}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} is not the dataset ({error!r}"[:300] + f"); {home}") from error


def _known_folder(name: str, named: str | Path | None) -> Path:
    folder = fetch_folder(named)
    if named or os.environ.get(FOLDER_VARIABLE) or folder.is_dir():
        return folder
    raise UsageError(
        f"there is no folder with {name}: get the data by `llmcompiler bench fetch`, or name their folder with --data "
        f"or {FOLDER_VARIABLE}; the file is {SOURCES[name].home}"
    )
