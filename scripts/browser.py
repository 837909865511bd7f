#!/usr/bin/env python3
"""Look at what the project shows, in a headless Chromium.

    python scripts/browser.py site [folder] [--shots FOLDER]    every page of the built site, as wide as a phone, and its search

Chromium is the machine's (or what CHROMIUM names), else the one that `playwright install chromium` fetched.
"""

import argparse
import os
import shutil
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ALONE = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@contextmanager
def browser():
    "A headless Chromium with an empty profile, which speaks to nobody on its own."
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium, chromium_sandbox=False, args=ALONE)
        try:
            yield running
        finally:
            running.close()


# ---- the documentation site

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


def listen(page, address):
    "A list that fills with what a page complains of. Fonts and formulas come from other machines, which need not be within reach."
    faults = []
    page.on("pageerror", lambda error: faults.append(f"script: {error}"))
    page.on("console", lambda said: said.type == "error" and said.location["url"].startswith(address) and faults.append(f"console: {said.text}"))
    page.on("requestfailed", lambda request: request.url.startswith(address) and faults.append(f"request failed: {request.url}: {request.failure}"))
    page.on("response", lambda answer: answer.status >= 400 and answer.url.startswith(address) and faults.append(f"status {answer.status}: {answer.url}"))
    return faults


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


def site(folder, shots=None):
    "Open every page of a built site as wide as a phone; returns what is wrong, one string a fault. Pictures of some pages go to the folder `shots`."
    folder, faults = Path(folder), []
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
        if shots:
            picture(chromium, address, [n for n in pages if n.removesuffix(".html") in SHOWN], Path(shots))
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("site", help=site.__doc__)
    command.add_argument("folder", nargs="?", default=ROOT / "_proc" / "_docs")
    command.add_argument("--shots", help="folder for pictures of some pages")
    command.set_defaults(run=lambda given: site(given.folder, given.shots))
    given = parser.parse_args()
    faults = given.run(given)
    print(*faults or [f"{given.command}: nothing wrong"], sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
