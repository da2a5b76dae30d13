"""Runs notebooks top to bottom, each in a kernel of its own; a cell that fails or takes too long ends it with an error.

python notebooks/run.py [--update] [NOTEBOOK ...]: all notebooks unless some are named. Without --update no file changes;
with it the new outputs take the place of the old ones, without times and versions, which would differ each time.
"""

import base64
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).parent
CELL_SECONDS = 60
COLOURS = 64  # in a chart as it is kept: a quarter of the size, and nobody sees the difference


def run(path: Path) -> nbformat.NotebookNode:
    """Return the notebook with new outputs. Raises the error of nbclient, which shows the cell that failed."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],  # not that loopback is unencrypted, for each kernel
    ).execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def keep_charts_small(notebook: nbformat.NotebookNode) -> None:
    """Put each PNG in the outputs into a palette of a few colours."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                small = io.BytesIO()
                chart = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
                chart.convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
                data["image/png"] = base64.b64encode(small.getvalue()).decode()


def main(arguments: list[str]) -> None:
    """Run the notebooks that are named, or all: side by side, unless their outputs are kept, whose times count."""
    is_update = "--update" in arguments
    named = [Path(argument) for argument in arguments if argument != "--update"]
    paths = named or sorted(HERE.glob("*.ipynb"))
    with ThreadPoolExecutor(max_workers=1 if is_update else len(paths)) as pool:
        for path, notebook in zip(paths, pool.map(run, paths), strict=True):
            sys.stdout.write(f"{path.name}: {len(notebook.cells)} cells, no errors\n")
            if is_update:
                keep_charts_small(notebook)
                nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
