#!/usr/bin/env python3
"""Run notebooks from top to bottom and keep their outputs.

    python scripts/run_notebooks.py                            all that have no cell flagged `#| benchmark`
    python scripts/run_notebooks.py --benchmarks               all that have one: slow cells, which tests skip
    python scripts/run_notebooks.py nbs/20_graphs.neighbors.ipynb ...

One that fails stays as it was, and the others are run all the same.
"""

import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
WIDGET = "application/vnd.jupyter.widget-view+json"


def is_benchmark(path):
    "Whether a notebook has cells that tests skip."
    return any(line.replace(" ", "") == "#|benchmark" for cell in nbformat.read(path, as_version=4).cells for line in cell.source.splitlines())


def chosen(words):
    "The notebooks that a command line asks for."
    if words and words != ["--benchmarks"]:
        return [Path(word).resolve() for word in words]
    paths = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    return [p for p in paths if is_benchmark(p) == bool(words)]


def main(words):
    subprocess.run([BIN / "nbdev_export"], cwd=ROOT, check=True)
    failed = []
    for path in chosen(words):
        print(path.relative_to(ROOT), flush=True)
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(path.parent)}}
        try:
            NotebookClient(notebook, timeout=3600, kernel_name="python3", store_widget_state=False, resources=resources).execute()
        except (CellControlSignal, DeadKernelError) as error:
            print(error, file=sys.stderr, flush=True)
            failed.append(path.name)
            continue
        for output in (o for cell in notebook.cells for o in cell.get("outputs", ())):
            output.get("data", {}).pop(WIDGET, None)  # the picture beside it is what a page can show
        nbformat.write(notebook, path)
    subprocess.run([BIN / "nbdev_clean"], cwd=ROOT, check=True)
    subprocess.run([sys.executable, ROOT / "scripts" / "readme.py"], check=True)
    print(f"failed: {', '.join(failed)}" if failed else "all ran", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
