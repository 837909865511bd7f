#!/usr/bin/env python3
"""Write llms.txt and llms-full.txt (llmstxt.org) into a built site: its pages for readers that are machines.

    python scripts/llms.py _docs

The renderer makes a Markdown copy of each page and a plain list of them (`llms-txt` in _quarto.yml; Quarto 1.9 or later, smalldocs 0.5 or later).
This puts the list into the sections of the sidebar, with each page's subtitle, and all pages into one file.
"""

import json
import re
import sys
from pathlib import Path

import yaml
from nbdev.config import get_config


def published(name):
    "The name of a notebook's page without its ending: as the notebook's, without the number."
    return re.sub(r"(^|/)\d+_", r"\1", name.removesuffix(".ipynb"))


def sections(contents, nbs, name="Start"):
    "(section, notebook) of a sidebar, from top to bottom."
    for entry in contents:
        if isinstance(entry, dict) and "section" in entry:
            yield from sections(entry["contents"], nbs, entry["section"])
        else:
            pattern = entry["href"] if isinstance(entry, dict) else entry
            paths = sorted(nbs.glob(pattern))
            if not paths:
                raise SystemExit(f"the sidebar in _quarto.yml names {pattern}, which is not in {nbs.name}/")
            yield from ((name, path) for path in paths)


def title(path):
    "Title and subtitle of a notebook: its first cell holds nothing else."
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    found = re.fullmatch(r"# (.+)\s+> (.+)", first.strip())
    if not found:
        raise SystemExit(f"{path.name}: the first cell must be '# Title' and '> subtitle', a line each, and nothing else")
    return found.groups()


def write(site):
    "Write the two files into the folder of a built site."
    cfg, index, full, last = get_config(), [], [], None
    sidebar = yaml.safe_load((cfg.nbs_path / "_quarto.yml").read_text(encoding="utf-8"))["website"]["sidebar"]
    for section, path in sections(sidebar["contents"], cfg.nbs_path):
        copy = published(path.relative_to(cfg.nbs_path).as_posix()) + ".llms.md"
        if not (site / copy).exists():
            raise SystemExit(f"{site} has no {copy}: render it with `llms-txt: true`, by Quarto 1.9 or later or smalldocs 0.5 or later")
        index += [f"\n## {section}\n"] * (section != last)
        name, about = title(path)
        index.append(f"- [{name}]({cfg.doc_host}{cfg.doc_baseurl}/{copy}): {about}")
        full.append((site / copy).read_text(encoding="utf-8").strip())
        last = section
    (site / "llms.txt").write_text("\n".join([f"# {cfg.title}\n", f"> {cfg.description}", *index]) + "\n", encoding="utf-8")
    (site / "llms-full.txt").write_text("\n\n".join(full) + "\n", encoding="utf-8")


def check(site):
    "What is wrong with a site's llms.txt: missing, a page that does not exist, a page that it leaves out."
    cfg = get_config()
    if not (site / "llms.txt").exists():
        return [f"{site} has no llms.txt"]
    base = re.escape(f"{cfg.doc_host}{cfg.doc_baseurl}/")
    listed = re.findall(rf"\]\({base}(\S+?)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    missing = [f"llms.txt lists {name}, which does not exist" for name in listed if not (site / name).exists()]
    copies = {p.relative_to(site).as_posix() for p in site.rglob("*.llms.md")}
    return missing + [f"llms.txt lists no {name}: put its page into the sidebar in _quarto.yml" for name in sorted(copies - {*listed})]


def main(site):
    write(Path(site))
    faults = check(Path(site))
    print(*faults, sep="\n", end="\n" * bool(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
