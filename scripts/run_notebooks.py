#!/usr/bin/env python3
"""Run notebooks from top to bottom and keep their outputs.

    python scripts/run_notebooks.py                            all, but for cells flagged `#| benchmark`, which keep the outputs they have
    python scripts/run_notebooks.py --benchmarks               whole, those that have such cells: slow ones, which tests skip
    python scripts/run_notebooks.py nbs/20_graphs.neighbors.ipynb ...   whole, these

One that fails stays as it was, and the others are run all the same.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
WIDGET = "application/vnd.jupyter.widget-view+json"


def is_slow(cell) -> bool:
    "Whether tests skip a cell."
    return cell.cell_type == "code" and any(line.replace(" ", "") == "#|benchmark" for line in cell.source.splitlines())


def run(path: Path, slow: bool):
    "Run a notebook, with its slow cells or without, and write what came out."
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=3600, kernel_name="python3", store_widget_state=False, resources={"metadata": {"path": str(path.parent)}})
    with client.setup_kernel():
        for place, cell in enumerate(notebook.cells):
            if cell.cell_type == "code" and (slow or not is_slow(cell)):
                client.execute_cell(cell, place)
    for output in (o for cell in notebook.cells for o in cell.get("outputs", ())):
        output.get("data", {}).pop(WIDGET, None)  # the picture beside it is what a page can show
    nbformat.write(notebook, path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="all where none is named")
    parser.add_argument("--benchmarks", action="store_true", help="those with slow cells, and these cells too")
    options = parser.parse_args()
    if absent := [str(path) for path in options.notebooks if not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(absent)}")
    every = sorted(p for p in (ROOT / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    wanted = [path.resolve() for path in options.notebooks] or [p for p in every if not options.benchmarks or any(map(is_slow, nbformat.read(p, as_version=4).cells))]
    subprocess.run([BIN / "nbdev_export"], cwd=ROOT, check=True)
    failed = []
    for path in wanted:
        print(path, flush=True)
        try:
            run(path, options.benchmarks or bool(options.notebooks))
        except (CellControlSignal, DeadKernelError) as error:
            print(error, file=sys.stderr, flush=True)
            failed.append(path.name)
    subprocess.run([BIN / "nbdev_clean"], cwd=ROOT, check=True)
    subprocess.run([sys.executable, ROOT / "scripts" / "readme.py"], check=True)
    print(f"failed: {', '.join(failed)}" if failed else "all ran", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
