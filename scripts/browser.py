#!/usr/bin/env python3
"""Look at the project with a browser that nobody sees: the widgets in JupyterLab, and every page of the built site, as wide as a phone.

    python scripts/browser.py [jupyterlab] [site] [--pictures FOLDER]

Needs Chromium and the extra "browser". Nothing is fetched: the browser reaches no other machine.
"""

import argparse
import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent  # the commands of this environment
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
LIMIT = 0.2  # seconds from a slider's move to the new picture


@contextmanager
def browser():
    "A Chromium without a past, which speaks to nobody on its own."
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, NAMES)), None)
    if chromium is None:
        raise SystemExit(f"no browser: install Chromium, so that one of {', '.join(NAMES)} is a command")
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            yield running
        finally:
            running.close()


def listen(page, address):
    "A list that fills with what a page complains of. Fonts and formulas come from other machines, which need not be within reach."
    faults = []
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on("console", lambda said: said.type == "error" and said.location["url"].startswith(address) and faults.append(f"console: {said.text}"))
    page.on("requestfailed", lambda request: request.url.startswith(address) and faults.append(f"request failed: {request.url}: {request.failure}"))
    page.on("response", lambda answer: answer.status >= 400 and answer.url.startswith(address) and faults.append(f"status {answer.status}: {answer.url}"))
    return faults


# JupyterLab

SETTINGS = {  # no questions, no news, and all cells on the page at once
    "apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
    "notebook-extension/tracker": '{"windowingMode": "none"}',
}

FOLDERS = {  # none of the user's own
    **{f"JUPYTER_{name}_DIR": name.lower() for name in ("CONFIG", "DATA", "RUNTIME")},
    **{f"JUPYTERLAB_{name}_DIR": name.lower() for name in ("SETTINGS", "WORKSPACES")},
    "IPYTHONDIR": "ipython",
    "ATLAS_NB_CACHE": "cache",
}


@contextmanager
def lab(notebook):
    "The address of a JupyterLab that shows a copy of a notebook, without the cells that tests skip as well."
    with tempfile.TemporaryDirectory() as home, socket.socket() as free:
        home, work = Path(home), Path(home, "work")
        work.mkdir()
        content = json.loads(Path(notebook).read_text(encoding="utf-8"))
        content["cells"] = [cell for cell in content["cells"] if not "".join(cell["source"]).replace(" ", "").startswith("#|benchmark")]
        (work / Path(notebook).name).write_text(json.dumps(content), encoding="utf-8")
        for name, text in SETTINGS.items():
            file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        free.bind(("127.0.0.1", 0))
        port, token = free.getsockname()[1], secrets.token_hex(16)
        free.close()
        env = {**os.environ, **{name: str(home / folder) for name, folder in FOLDERS.items()},
               "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}  # fmt: skip
        options = (f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
                   "--allow-root", "--no-browser")  # fmt: skip
        with open(home / "log", "w+") as log:
            server = subprocess.Popen([BIN / "jupyter-lab", *options], env=env, cwd=home, stdout=log, stderr=subprocess.STDOUT)
            try:
                _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, log)
                yield f"http://127.0.0.1:{port}/lab/tree/{Path(notebook).name}?token={token}"
            finally:
                server.terminate()
                server.wait(30)


def _wait_for(url, server, log, seconds=60):
    for _ in range(10 * seconds):
        if server.poll() is not None:
            break
        try:
            return urllib.request.urlopen(url).close()
        except urllib.error.URLError:
            time.sleep(0.1)
    log.seek(0)
    raise SystemExit(f"JupyterLab does not answer:\n{log.read()}")


def run_all(page, url, seconds=120):
    "Open a notebook and run it through the menu; returns the seconds that took and what went wrong."
    page.goto(url)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    idle = page.get_by_text("| Idle")
    idle.wait_for(timeout=60_000)
    start = time.perf_counter()
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").first.click()
    page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
    prompts = "[...document.querySelectorAll('.jp-Notebook .jp-CodeCell .jp-InputPrompt')].map(p => p.textContent)"
    page.wait_for_function(f"{prompts}.every(p => /\\[[0-9]+\\]/.test(p))", timeout=1000 * seconds)
    idle.wait_for(timeout=1000 * seconds)
    taken = time.perf_counter() - start
    kinds = [f'.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.{kind}"]' for kind in ("error", "stderr")]
    return taken, page.locator(", ".join(kinds)).all_inner_texts()


MEASURE = """handle => {
    const canvas = document.querySelector('canvas[data-lines]'), before = canvas.dataset.lines
    const end = seconds => { watch.disconnect(); window.taken = seconds }
    const watch = new MutationObserver(() => {  // when the second frame begins, the first is on the screen
        if (canvas.dataset.lines != before) requestAnimationFrame(() => requestAnimationFrame(() => end((performance.now() - window.start) / 1000)))
    })
    window.taken = undefined
    watch.observe(canvas, {attributes: true})
    const begin = () => { window.start = performance.now(); setTimeout(() => window.taken === undefined && end(null), 2000) }
    handle.addEventListener('keydown', begin, {once: true, capture: true})
    handle.focus()
}"""


def redraws(explorer, n=10):
    "Seconds from a key on the cutoff's slider to the new graph on the screen, of moves that change the graph."
    handle, page, times = explorer.locator(".widget-slider", has_text="Cutoff").locator(".noUi-handle"), explorer.page, []
    for _ in range(5 * n):
        handle.evaluate(MEASURE)
        page.keyboard.press("ArrowRight")
        page.wait_for_function("window.taken !== undefined")
        times += filter(None, [page.evaluate("window.taken")])
        if len(times) == n:
            return times
    raise SystemExit(f"the graph changed only {len(times)} times in {5 * n} moves of the slider")


def use(explorer):
    "Find crystals as a user does, by keyboard and mouse; returns what does not answer as it should."
    name, faults = explorer.get_by_placeholder("formula, part of one, or id"), []

    def expect(words, what):
        try:
            explorer.locator("[role=status], [role=alert]").get_by_text(words).wait_for(timeout=5000)
        except Exception as error:
            faults.append(f"{what}: no line says {words!r} ({type(error).__name__})")

    for text, words in (("XeF6", "No crystal is called 'XeF6'"), ("LiSi", "1 crystal found. LiSi (mp-795), 32 atoms")):
        name.fill(text)
        name.press("Enter")
        expect(words, f"{text} as formula")
    explorer.locator(".atlas-bar").last.click()
    expect(": 1 crystal. ", "a click on the last bar")
    view = explorer.locator("canvas[data-lines]")
    before = view.screenshot()
    view.focus()
    view.press("ArrowRight")
    if view.screenshot() == before:
        faults.append("the arrow keys do not turn the crystal")
    if "Arrow keys" not in (view.get_attribute("aria-label") or ""):
        faults.append("the picture has no words for a screen reader")
    return faults


def jupyterlab(pictures):
    "Run the tutorials in JupyterLab and use the widgets; returns what is wrong."
    faults = []
    for notebook in sorted((ROOT / "nbs" / "tutorials").glob("*.ipynb")):
        with lab(notebook) as url, browser() as chromium:
            page = chromium.new_page(viewport={"width": 1400, "height": 1000})
            complaints = listen(page, url[: url.index("/lab/")])
            taken, errors = run_all(page, url)
            print(f"{notebook.stem} ran in {taken:.0f} s", flush=True)
            page.screenshot(path=pictures / f"{notebook.stem}.png")
            if notebook.stem == "explore" and not errors:
                errors = widgets(page, pictures)
            faults += [f"{notebook.name}: {fault}" for fault in errors + complaints]
    return faults


def widgets(page, pictures):
    "Move the sliders of the explorer and find crystals with it; returns what is wrong."
    for k, output in enumerate(page.locator(".jp-Cell-outputWrapper").filter(visible=True).all()):
        output.scroll_into_view_if_needed()
        page.wait_for_timeout(500)
        output.screenshot(path=pictures / f"output-{k}.png")
    explorer = page.locator(".jp-OutputArea-output").filter(has=page.locator("canvas[data-lines]")).first
    if not explorer.count():
        return ["there is no widget"]
    explorer.scroll_into_view_if_needed()
    explorer.locator(".widget-slider", has_text="Neighbours").locator(".noUi-handle").press("End")  # all neighbours
    page.wait_for_timeout(1000)
    times = redraws(explorer)
    explorer.screenshot(path=pictures / "wider.png")
    median, low, high = (f"{1000 * seconds:.0f}" for seconds in (statistics.median(times), min(times), max(times)))
    words = f"a new graph is on the screen after {median} ms (median of {len(times)}; {low} to {high})"
    print(words, flush=True)
    faults = [f"{words}; it should be less than {1000 * LIMIT:.0f} ms"] if statistics.median(times) > LIMIT else []
    faults += use(explorer)
    explorer.screenshot(path=pictures / "found.png")
    return faults


# The site

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SHOWN = ("index", "data.properties", "graphs.builder", "models.m3gnet", "trainer", "uncertainty.calibration",
         "then_and_now", "benchmarks/graphs", "benchmarks/uncertainty")  # fmt: skip
SOUGHT, FOUND = "CrystalGraphBuilder", "graphs.builder.html"


class Quiet(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/favicon.ico":  # browsers ask for it unasked
            return self.send_error(204)
        super().do_GET()

    def log_message(self, *args):
        pass


@contextmanager
def served(folder):
    "Serve a folder on a free port of this machine; gives the address."
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


TOO_WIDE = """() => {  // a text or picture that ends beyond the screen must be in something that scrolls; else the page is too wide, or it is cut off
    const screen = document.documentElement.clientWidth, width = document.scrollingElement.scrollWidth, beyond = [], range = document.createRange();
    const moves = e => /auto|scroll/.test(getComputedStyle(e).overflowX) || e.matches(".katex-mathml");  // the latter is there, and not shown
    const scrolls = e => e && e !== document.body && (moves(e) || scrolls(e.parentElement));
    const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    while (walk.nextNode()) {
        const node = walk.currentNode, picture = /^(img|svg)$/i.test(node.nodeName);
        if (!picture && (node.nodeName !== "#text" || !node.data.trim())) continue;
        range.selectNode(node);
        if (range.getBoundingClientRect().right <= screen + 1 || scrolls(node.parentElement)) continue;
        beyond.push((picture ? node.outerHTML : node.data.trim()).slice(0, 80));
    }
    if (width <= screen && !beyond.length) return null;
    return `${width} px wide on a screen of ${screen}; beyond it: ${beyond.slice(0, 3).join(" | ") || "nothing of the text"}`;
}"""


def search(page, address):
    "What is wrong with the search, if anything: it must find the page of a class."
    page.goto(f"{address}/index.html")
    page.keyboard.press("/")
    page.keyboard.type(SOUGHT)
    hits = page.locator("a:visible", has_text=SOUGHT)
    try:
        hits.first.wait_for(timeout=5000)
    except Exception:
        return [f"the search finds nothing for {SOUGHT}"]
    targets = [hit.get_attribute("href") for hit in hits.all()]
    return [] if any(FOUND in target for target in targets) else [f"the search for {SOUGHT} finds {', '.join(targets)}, not {FOUND}"]


def site(pictures, folder=ROOT / "_proc" / "_docs"):
    "Open every page of the built site as wide as a phone, and search it; returns what is wrong."
    faults = []
    pages = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.html") if "site_libs" not in p.parts)
    if not pages:
        return [f"no page in {folder}: build the site with `make docs`"]
    with served(folder) as address, browser() as chromium:
        phone = chromium.new_page(viewport=PHONE)
        said = listen(phone, address)
        for name in pages:
            phone.goto(f"{address}/{name}")
            wide = phone.evaluate(TOO_WIDE)
            faults += [f"{name}: {fault}" for fault in ([wide] if wide else []) + said]
            said.clear()
        faults += search(chromium.new_page(viewport=DESKTOP), address)
        picture(chromium, address, [n for n in pages if n.removesuffix(".html") in SHOWN], pictures / "site")
    return faults


def picture(chromium, address, names, shots):
    "Save pictures of some pages: on a phone and a desktop, light and dark."
    shots.mkdir(parents=True, exist_ok=True)
    for screen, size in {"phone": PHONE, "desktop": DESKTOP}.items():
        for scheme in ("light", "dark"):
            page = chromium.new_page(viewport=size, color_scheme=scheme)
            for name in names:
                page.goto(f"{address}/{name}")
                page.screenshot(path=shots / f"{name.removesuffix('.html').replace('/', '.')}.{screen}.{scheme}.png", full_page=True)
            page.close()


PARTS = {"jupyterlab": jupyterlab, "site": site}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all where none is named")
    parser.add_argument("--pictures", type=Path, help="a folder for screenshots", default=Path(tempfile.gettempdir(), "atlas_nb_pictures"))
    options = parser.parse_args()
    options.pictures.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in options.parts or PARTS:
        faults = PARTS[name](options.pictures)
        print(f"{'failed' if faults else 'passed'}  {name}: {PARTS[name].__doc__.split(';')[0]}", *(f"    {fault}" for fault in faults), sep="\n", flush=True)
        failed += bool(faults)
    print(f"pictures: {options.pictures}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
