#!/usr/bin/env python3
"""Run notebooks from top to bottom and keep their outputs: all of them, or those named.

    python scripts/run_notebooks.py [nbs/10_data.properties.ipynb ...]
"""

import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


def main(paths):
    subprocess.run([BIN / "nbdev_export"], cwd=ROOT, check=True)
    for path in paths or sorted((ROOT / "nbs").rglob("*.ipynb")):
        path = Path(path).resolve()
        print(path.relative_to(ROOT), flush=True)
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=3600, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
        nbformat.write(notebook, path)
    subprocess.run([BIN / "nbdev_clean"], cwd=ROOT, check=True)
    subprocess.run([sys.executable, ROOT / "scripts" / "readme.py"], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
