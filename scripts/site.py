#!/usr/bin/env python3
"""Build the documentation site into _proc/_docs without Quarto, and fail on a broken link.

nbdev prepares the notebooks as it does for Quarto; smalldocs renders the same _quarto.yml. The published site is made by Quarto itself,
in .github/workflows/docs.yml.
"""

import subprocess
import sys
from pathlib import Path

import nbdev.doclinks
from nbdev.config import get_config
from nbdev.quarto import refresh_quarto_yml
from nbdev.serve import proc_nbs


def main():
    refresh_quarto_yml()
    nbdev.doclinks._build_modidx()
    proc = Path(proc_nbs.__wrapped__(get_config().nbs_path, force=True))
    smalldocs = Path(sys.executable).parent / "smalldocs"
    for words in (["render", "--quiet", proc], ["check", proc]):
        done = subprocess.run([smalldocs, *words])
        if done.returncode:
            return done.returncode
    print(f"site: {(proc / get_config().doc_path.name).relative_to(Path.cwd())}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
