#!/usr/bin/env python3
"""Write README.md from nbs/index.ipynb, with its pictures beside the workflows, in .github/readme."""

import re
import shutil
from pathlib import Path

import nbformat
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / ".github" / "readme"


def main():
    notebook = nbformat.read(ROOT / "nbs" / "index.ipynb", as_version=4)
    notebook.cells = [c for c in notebook.cells if not c.source.startswith("#| hide")]
    for cell in notebook.cells:
        cell.source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("#|"))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:  # pandas' tables; GitHub shows a style sheet as text
                data["text/html"] = re.sub(r"<style.*?</style>\n?", "", data["text/html"], flags=re.S)
    notebook.metadata["language_info"] = {"name": "python"}
    text, resources = MarkdownExporter().from_notebook_node(notebook)
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    for name, data in resources["outputs"].items():
        (PICTURES / name).write_bytes(data)
        text = text.replace(f"]({name})", f"](.github/readme/{name})")
    for path in (ROOT / "nbs").rglob("*.ipynb"):
        link = path.relative_to(ROOT / "nbs").as_posix()
        text = text.replace(f"]({link})", f"](nbs/{link})")
    (ROOT / "README.md").write_text(f"<!-- made from nbs/index.ipynb by scripts/readme.py -->\n\n{text.strip()}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
