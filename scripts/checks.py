#!/usr/bin/env python3
"""Everything `make test` checks, in a copy of the project, so that checking changes nothing.

    python scripts/checks.py                 all checks
    python scripts/checks.py order docs      some of them
    python scripts/checks.py --prove         plant a fault for each check and see that it is found
"""

import ast
import filecmp
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent  # the commands of this environment
SKIPPED = "skipped"
WIDGET = "application/vnd.jupyter.widget-view+json"


def copy_project(source, target):
    "The files git tracks or would track; everything but build products where there is no git."
    listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=source, capture_output=True, text=True)
    if listed.returncode:
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(".venv", "runs", "_proc", "_docs", ".git", "__pycache__"))
        return target
    for name in filter(None, listed.stdout.split("\0")):
        if (source / name).is_symlink() or (source / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, target / name, follow_symlinks=False)
    return target


def environment(cwd):
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(cwd)}


def command(*words, cwd):
    "Run a command of this environment; returns exit status and everything it said."
    done = subprocess.run([str(w) for w in words], cwd=cwd, capture_output=True, text=True, env=environment(cwd))
    return done.returncode, done.stdout + done.stderr


def differences(a, b, pattern):
    "Files under two folders that are not equal, or only in one."
    names = {p.relative_to(root) for root in (a, b) for p in root.glob(pattern) if p.is_file() and "__pycache__" not in p.parts}
    return sorted(str(n) for n in names if not ((a / n).is_file() and (b / n).is_file() and filecmp.cmp(a / n, b / n, shallow=False)))


def notebooks(root):
    return sorted(p for p in (root / "nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def cells(path, kind="code"):
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


# Each check takes the copy of the project and returns what is wrong, one string a fault.


def drift(root, words, patterns, remedy):
    "What a command would change among the files of some patterns."
    with tempfile.TemporaryDirectory() as folder:
        fresh = copy_project(root, Path(folder, "fresh"))
        status, said = command(*words, cwd=fresh)
        changed = [name for pattern in patterns for name in differences(root, fresh, pattern)]
        return [said] * (status != 0) + [f"{name} would change: run {remedy}" for name in changed]


def export(root):
    "nbdev_export would change nothing: the package is what the notebooks say."
    return drift(root, ["nbdev_export"], ["atlas_nb/**/*.py"], "nbdev_export")


def clean(root):
    "nbdev_clean would change nothing: notebooks carry no metadata of whoever ran them."
    return drift(root, ["nbdev_clean"], ["nbs/**/*.ipynb"], "nbdev_clean")


def imported(source):
    "Modules of atlas_nb that some code imports, wherever in it."
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.startswith("atlas_nb."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "atlas_nb":
            yield from (node.module, *(f"{node.module}.{a.name}" for a in node.names))


def order(root):
    "A notebook imports only from notebooks with a lower number."
    numbers, faults = {}, []
    for path in notebooks(root):
        number = re.match(r"\d+", path.name)
        module = next((m[1] for c in cells(path) for m in re.finditer(r"^#\| *default_exp +(\S+)", "".join(c["source"]), re.M)), None)
        if number and module:
            numbers[f"atlas_nb.{module}"] = int(number[0])
        elif module:
            faults.append(f"{path.name} exports {module} but has no number")
    for path in notebooks(root):
        number = re.match(r"\d+", path.name)
        for cell in cells(path) if number else []:
            source = re.sub(r"^\s*[%!].*$", "", "".join(cell["source"]), flags=re.M)
            for module in imported(source):
                if numbers.get(module, -1) > int(number[0]):
                    faults.append(f"{path.name} imports {module}, which is notebook {numbers[module]}")
    return faults


def outputs(root):
    "Outputs hold no path of a machine, no warning, no error, no progress bar, no widget."
    unwanted = {"a path of a machine": r"/(home|root|tmp|Users|work)/[\w.]", "a warning": r"Warning\b", "a progress bar": r"\r|it/s\]|s/it\]"}
    faults = []
    for path in notebooks(root):
        for cell in cells(path):
            for output in cell["outputs"]:
                texts = [output.get("text", ""), *(v for k, v in output.get("data", {}).items() if k.startswith("text"))]
                text = "".join("".join(t) for t in texts)
                faults += [f"{path.name}: an output holds {what}: {text[:80]!r}" for what, pattern in unwanted.items() if re.search(pattern, text)]
                faults += [f"{path.name}: an output is a widget, which no page can show: run scripts/run_notebooks.py"] * (WIDGET in output.get("data", {}))
                if output["output_type"] == "error":
                    faults.append(f"{path.name}: an output is an error: {output['ename']}")
    return faults


def readme(root):
    "README.md is what nbs/index.ipynb says."
    return drift(root, [sys.executable, "scripts/readme.py"], ["README.md", ".github/readme/*"], "make readme")


def docs(root):
    "The site renders, no link in it is broken, and llms.txt lists every page."
    if not shutil.which("smalldocs", path=str(BIN)):
        return SKIPPED
    status, said = command(sys.executable, "scripts/site.py", cwd=root)
    return [said] if status else []


WORKERS = 2
THREADS = str(max(1, (os.cpu_count() or 1) // WORKERS))  # two notebooks that fight for the same cores take four times as long


HEAVY = ("torch", "torch_geometric", "lightning_fabric", "e3nn.o3", "pymatgen.core", "pandas", "matplotlib.figure")  # seconds to import, in nearly each notebook; nothing of ours


def serve():
    "Test the notebooks whose paths come in, each in a process that is forked off and has imported nothing but what is heavy; write its exit status."
    sys.path.pop(0)  # this folder
    from nbdev.test import nbdev_test

    for name in HEAVY:
        import_module(name)
    gc.freeze()  # what all share is not searched for garbage, which would copy it
    for line in sys.stdin:
        path, said = line.rstrip("\n").split("\t")
        child = os.fork()
        if not child:
            for stream, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
                os.dup2(os.open(said if stream else os.devnull, flags | os.O_APPEND), stream)
            return nbdev_test(path=path)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


MEASURING = re.compile(r"perf_counter|process_time|atlas_nb\.(profiling|advice|performance|auto)\b")  # in notebooks that test how long something takes


class Server:
    "A process that tests notebooks, one after another."

    def __init__(self, root, cache):
        env = {**environment(root), "ATLAS_NB_CACHE": cache, "OMP_NUM_THREADS": THREADS}
        self.process = subprocess.Popen([sys.executable, __file__, "--serve"], cwd=root, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def test(self, path):
        start = time.perf_counter()
        with tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace") as said:
            print(path, said.name, sep="\t", file=self.process.stdin, flush=True)
            status = self.process.stdout.readline()
            return path, status.strip() != "0", said.read(), time.perf_counter() - start

    def close(self):
        self.process.communicate()


CHECKS = {f.__name__: f for f in (export, clean, order, outputs, readme, docs)}


def check(root, names, only=None):
    "Run the named checks, print a line each, and at the end again what is wrong; returns how many passed, failed, were skipped."
    count, wrong = {"passed": 0, "failed": 0, "skipped": 0}, []

    def note(what, faults, seconds):
        verdict = "skipped" if faults == SKIPPED else "failed" if faults else "passed"
        count[verdict] += 1
        said = [f"{verdict:8s}{what} ({seconds:.0f} s)", *(f"    {line}" for fault in faults for line in fault.strip().splitlines() if verdict == "failed")]
        print(*said, sep="\n", flush=True)
        if verdict == "failed":
            wrong.append(said)

    for name in names:
        if name in CHECKS:
            start = time.perf_counter()
            faults = CHECKS[name](root)
            note(f"{name}: {CHECKS[name].__doc__}", faults, time.perf_counter() - start)
    if "notebooks" in names:
        paths = [p for p in reversed(notebooks(root)) if only is None or p.name in only]  # the slow ones first, so that the workers end together
        with tempfile.TemporaryDirectory() as cache, ExitStack() as ends, ThreadPoolExecutor(WORKERS) as pool:
            free = Queue()
            for _ in paths[:WORKERS]:
                free.put(server := Server(root, cache))
                ends.callback(server.close)

            def test(path):
                server = free.get()
                try:
                    return server.test(path)
                finally:
                    free.put(server)

            again = []
            for path, failed, said, seconds in pool.map(test, paths):
                if failed and any(MEASURING.search("".join(cell["source"])) for cell in cells(path)):
                    again.append(path)
                    print(f"again   notebook {path.relative_to(root / 'nbs')} ({seconds:.0f} s) when nothing else runs:", *said.strip().splitlines()[-9:], sep="\n    ", flush=True)
                else:
                    note(f"notebook {path.relative_to(root / 'nbs')}", [said] if failed else [], seconds)
            for path, failed, said, seconds in map(test, again):  # a busy machine spoils a measurement once, but not for good
                note(f"notebook {path.relative_to(root / 'nbs')}, at the second try", [said] if failed else [], seconds)
    for said in wrong if sum(count.values()) > 1 else []:  # for whoever reads only the end of a long log
        print(said[0], *said[1:][-30:], sep="\n", flush=True)
    return count


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


FAULTS = {  # check -> what breaks it
    "export": lambda root: edit(root / "atlas_nb/data/splits.py", "PARTS = (", "PARTS  = ("),
    "clean": lambda root: edit(root / "nbs/14_data.splits.ipynb", '"execution_count": null', '"execution_count": 7'),
    "order": lambda root: edit(root / "nbs/14_data.splits.ipynb", "from atlas_nb.data.crystal import", "from atlas_nb.trainer import"),
    "outputs": lambda root: edit(root / "nbs/14_data.splits.ipynb", "Split(by reduced formula, 80/10/10, seed 0", "/home/me/split"),
    "readme": lambda root: edit(root / "README.md", "#", "##"),
    "docs": lambda root: edit(root / "nbs/12_data.sources.ipynb", "(10_data.properties.ipynb)", "(10_data.nowhere.ipynb)"),
    "notebooks": lambda root: edit(root / "nbs/14_data.splits.ipynb", "place < fractions[0] else", "place > fractions[0] else"),
}


def prove():
    "Plant each fault in a copy; the check must pass before and fail after."
    missed = []
    for name, plant in FAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            root, only = copy_project(ROOT, Path(folder, "copy")), {"14_data.splits.ipynb"}
            before = check(root, [name], only)
            plant(root)
            after = check(root, [name], only)
            if before["failed"] or not after["failed"]:
                missed.append(name)
    print(f"{len(FAULTS) - len(missed)} of {len(FAULTS)} planted faults found" + (f"; missed: {', '.join(missed)}" if missed else ""))
    return 1 if missed else 0


def main(names):
    if names == ["--prove"]:
        return prove()
    if names == ["--serve"]:  # for this script's own use
        return serve()
    unknown = set(names) - {*CHECKS, "notebooks"}
    if unknown:
        print(f"no check named {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}, notebooks", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        root = copy_project(ROOT, Path(folder, "copy"))
        if not notebooks(root):
            print(f"no notebook found in {ROOT / 'nbs'}: nothing was checked", file=sys.stderr)
            return 1
        count = check(root, names or [*CHECKS, "notebooks"])
    print(f"{count['passed']} passed, {count['failed']} failed" + (f", {count['skipped']} skipped" if count["skipped"] else ""))
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
