#!/usr/bin/env python3
"""Build the documentation site into _proc/_docs without Quarto, and fail on a broken link or a page that llms.txt lacks.

nbdev prepares the notebooks as it does for Quarto; smalldocs renders the same _quarto.yml. The published site is made by Quarto itself,
in .github/workflows/docs.yml.
"""

import re
import subprocess
import sys
from pathlib import Path

import llms
import nbdev.doclinks
from nbdev.config import get_config
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs


def as_published(proc, cfg):
    "Name the pages as Quarto does, without numbers, and make links to the published site links within this one."
    notebooks = {path.name: f"{llms.published(path.name)}.ipynb" for path in proc.rglob("*.ipynb")}
    published = f"{cfg.doc_host}{cfg.doc_baseurl}/"
    for path in [*proc.rglob("*.ipynb"), proc / "_quarto.yml"]:
        text = path.read_text(encoding="utf-8").replace(published, "")
        text = re.sub(r"output-file: \S+?\.html\\n", "", text)
        for old, new in notebooks.items():
            text = re.sub(rf"(?<![\w.]){re.escape(old)}", new, text)
        path.unlink()
        path.with_name(notebooks.get(path.name, path.name)).write_text(text, encoding="utf-8")


def main():
    cfg = get_config()
    refresh_quarto_yml()
    nbdev.doclinks._build_modidx()
    proc = Path(proc_nbs(cfg.nbs_path, force=True))
    as_published(proc, cfg)
    smalldocs = Path(sys.executable).parent / "smalldocs"
    for words in (["render", "--quiet", proc], ["check", proc]):
        done = subprocess.run([smalldocs, *words])
        if done.returncode:
            return done.returncode
    site = proc / cfg.doc_path.name
    print(f"site: {site.relative_to(Path.cwd())}/index.html")
    return llms.main(site)


if __name__ == "__main__":
    sys.exit(main())
