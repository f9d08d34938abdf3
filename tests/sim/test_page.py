"""The page of ``byway live`` in a real browser: Chromium, without a window.

Tests that want it are skipped where it is missing.
"""

import base64
import itertools
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from byway.sim.live.status import LiveStatus
from byway.sim.report.status_page import PageReport, StatusPage

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
BLOCKS = (
    *("frames", "bytes", "segments", "dropped", "cycles_busy", "cycles_stalled"),
    *("iotlb_hits", "iotlb_misses", "faults"),
)
PER_PARTITION = ("sent", "super_frames", "checksums_by_cpu")
LOOK = (Path(__file__).parent / "look_at_page.js").read_text()


def report(hosted: int = 1, command: str = "ping partner") -> PageReport:
    names = tuple(f"hosted{number}" for number in range(1, hosted + 1))
    return PageReport(command=command, place="hosted", engine="native", hosted=names)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    for file in (CHROMIUM, DRIVER):
        if shutil.which(file) is None:
            pytest.skip(f"{file} is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    words = "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-sync"
    for word in [*words.split(), "disable-background-networking", "disable-component-update"]:
        options.add_argument(f"--{word}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(DRIVER)) as browser:
        yield browser


@pytest.fixture
def page():
    with StatusPage(report()) as page:
        yield page


class Look:
    """A browser that looks at a page."""

    def __init__(self, browser: webdriver.Chrome):
        self.browser = browser

    def open(self, page: StatusPage, *, width: int = 1280, scheme: str = "light", media: str = ""):
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 960, "deviceScaleFactor": 1, "mobile": False},
        )
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": media, "features": [feature]}
        )
        self.browser.get(page.url)

    def tell(self, script: str):
        """What `script` returns, which may use the functions of ``look_at_page.js``."""
        return self.browser.execute_script(f"{LOOK}\n{script}")

    def wait(self, script: str, value) -> None:
        WebDriverWait(self.browser, 10, 0.05).until(
            lambda _browser: self.tell(script) == value, f"{script}: {self.tell(script)}"
        )

    def wait_for_state(self, text: str) -> None:
        self.wait("return text('#state')", text)

    def complaints(self) -> list[str]:
        """What is wrong since the last call."""
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture
def look(chromium):
    look = Look(chromium)
    look.complaints()
    yield look
    chromium.get("about:blank")


def status(start: int = 1001, *, hosted: int = 1, step: int = 1, **given) -> LiveStatus:
    """No two figures are alike but for those given: they are `start`, `start` + `step`, ..."""
    number = itertools.count(start, step)
    every: dict = {field.name: next(number) for field in fields(LiveStatus)}
    every |= {name: tuple(next(number) for _ in range(hosted)) for name in PER_PARTITION}
    every["blocks"] = {name: next(number) for name in BLOCKS}
    every |= given
    return LiveStatus(**every)


def shown(status: LiveStatus) -> dict[str, dict[str, str]]:
    """Block -> label -> figure."""

    def size(value: int) -> str:
        return f"{value / 1000:.3f} kB"

    at = {name: f"{value:,}" for name, value in status.blocks.items()}
    return {
        "Partition manager": {
            "crossings": f"{status.crossings:,}",
            "messages": f"{status.messages:,}",
            "hcalls": f"{status.hcalls:,}",
            "copied to send": size(status.copied_transmit),
            "copied on the way back": size(status.copied_receive),
        },
        "2 hosted partitions": {
            "frames": f"{sum(status.sent):,}",
            "super-frames": f"{sum(status.super_frames):,}",
            "checksums, CPU": f"{sum(status.checksums_by_cpu):,}",
        },
        "Translation bridge": {
            "hits": at["iotlb_hits"],
            "misses": at["iotlb_misses"],
            "faults": at["faults"],
        },
        "Rings": {"dropped": at["dropped"]},
        "Segmenter": {"segments": at["segments"]},
        "MAC": {"cycles busy": at["cycles_busy"], "stalled": at["cycles_stalled"]},
        "Link partner's kernel": {
            "payload": size(status.payload_bytes),
            "bad FCS": f"{status.bad_frames:,}",
        },
    }


def test_figures_stand_at_their_blocks_and_change(look):
    with StatusPage(report(hosted=2)) as page:
        look.open(page)
        look.wait_for_state("Starting; the first time it compiles")
        for start in (1001, 2345):
            now = status(start, hosted=2)
            page.show(now)
            look.wait("return text('[data-figure=frames]')", f"{now.frames:,}")
            assert look.tell("return figures()") == shown(now)
            wire = f"Wire {now.blocks['frames']:,} frames, {now.blocks['bytes'] / 1000:.3f} kB"
            assert " ".join(look.tell("return text('.wire')").split()) == wire
    assert look.complaints() == []


def test_every_figure_of_a_status_is_on_the_page(look, page):
    look.open(page)
    there = look.tell(
        "return [...document.querySelectorAll('[data-figure]')].map((one) => one.dataset.figure)"
    )
    # Wall time is the charts' axis; the adapter counts the wire's bytes; cycles are simulated time.
    elsewhere = {"wall_seconds", "wire_bytes", "cycles", "blocks"}
    wanted = {field.name for field in fields(LiveStatus)} - elsewhere
    assert set(there) == wanted | {f"blocks.{name}" for name in BLOCKS}


def test_headline_says_what_the_status_line_says(look, page):
    look.open(page)
    page.show(
        status(
            simulated_seconds=0.0123456,
            cycles_per_second=1_534_221.4,
            goodput_simulated=941.5e6,
            goodput_wall=999_960.0,
            wire_use=0.98765,
            faults=3,
        )
    )
    look.wait_for_state("Running")
    script = "return [...document.querySelectorAll('.figures dd')].map((one) => one.textContent)"
    simulated, speed, _frames, _back, *rest = look.tell(script)
    assert (simulated, speed) == ("12.346 ms", "1,534,221")
    assert rest == ["941.5 Mbit/s", "1.000 Mbit/s", "98.77 %", "3"]
    assert look.tell("return document.querySelectorAll('.figures .alarm').length") == 1


@pytest.mark.parametrize("size", ["none", "nothing", "small", "middle", "most"])
@pytest.mark.parametrize("width", [800, 1280, 2000])
def test_texts_keep_to_their_blocks(look, width, size):
    values = {"nothing": (0, 0), "small": (7, 1), "middle": (9_999_000, 7), "most": (2**64 - 99, 1)}
    for hosted, scheme in ((1, "light"), (31, "dark")):
        with StatusPage(report(hosted=hosted, command="curl -sS --retry 9 " * 9)) as page:
            look.open(page, width=width, scheme=scheme)
            state = "Starting; the first time it compiles"
            if size in values:
                start, step = values[size]
                state = "Running"
                # Simulated time is no counter: 11 days of it are long.
                bounded = {"wire_use": 1.0, "simulated_seconds": min(start, 999_999)}
                page.show(status(start, step=step, hosted=hosted, **bounded))
            look.wait_for_state(state)
            assert look.tell("return misplaced()") == [], (hosted, scheme)
    assert look.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_from_their_ground(look, page, scheme):
    look.open(page, scheme=scheme)
    page.show(status())
    look.wait_for_state("Running")
    assert look.tell("return faint()") == []
    ground = look.tell("return luminance(getComputedStyle(document.body).backgroundColor)")
    assert (ground > 0.5) == (scheme == "light")


def test_partitions_are_listed_one_by_one(look):
    with StatusPage(report(hosted=31)) as page:
        look.open(page)
        now = status(hosted=31)
        page.show(now)
        look.wait_for_state("Running")
        rows = look.tell(
            "return [...document.querySelectorAll('tbody tr')]"
            ".map((row) => [...row.cells].map((cell) => cell.textContent))"
        )
    assert rows == [
        [f"hosted{number + 1}", *(f"{getattr(now, name)[number]:,}" for name in PER_PARTITION)]
        for number in range(31)
    ]


def test_charts_draw_the_goodput_of_each_interval(look, page):
    look.open(page)
    for second in range(90):
        payload = 1_250_000 * (second // 2)
        page.show(status(wall_seconds=second, simulated_seconds=second / 50, payload_bytes=payload))
        look.wait("return text('#state') && text('[data-figure=simulated_seconds]')", _time(second))
    outputs = "return [...document.querySelectorAll('output')].map((one) => one.textContent)"
    assert look.tell(outputs) == ["0 bit/s", "0 bit/s"]
    page.show(status(wall_seconds=90, simulated_seconds=1.8, payload_bytes=1_250_000 * 45))
    look.wait(outputs, ["500.0 Mbit/s", "10.00 Mbit/s"])
    # A minute of it, a point for each second.
    line = look.tell("return document.querySelector('[data-chart=wall] .line').getAttribute('d')")
    assert line.count("L") == 60
    assert line.startswith("M0.0 ")
    assert line.endswith("L360.0 16.0")


def _time(second: int) -> str:
    return f"{second / 50:.3f} s" if second >= 50 else f"{second * 20:.3f} ms"


def test_end_is_said_and_the_last_figures_stay(look):
    with StatusPage(report()) as page:
        look.open(page)
        page.show(status())
        look.wait_for_state("Running")
        last = status(5001)
        page.end(last, 7)
    look.wait_for_state("Ended, exit code 7")
    # Whatever would look for the server again has done so by now.
    look.browser.execute_async_script("setTimeout(arguments[0], 2500)")
    assert look.tell("return text('#state')") == "Ended, exit code 7"
    assert look.tell("return text('[data-figure=frames]')") == f"{last.frames:,}"
    assert look.complaints() == []


def test_page_finds_the_next_run_when_one_was_killed(look):
    code = (
        "import time; from byway.sim.report.status_page import *;"
        "page = StatusPage(PageReport('first', 'hosted', 'native', ('hosted1',)));"
        "print(page.url, flush=True); time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout
        url = run.stdout.readline().strip()
        look.browser.get(url)
        look.wait("return text('#command')", "first in hosted, engine native")
        run.kill()
    look.wait_for_state("No connection: the run was stopped, or will be back")
    with StatusPage(report(command="second"), int(url.rstrip("/").rpartition(":")[2])) as page:
        page.show(status())
        look.wait("return text('#command')", "second in hosted, engine native")
        look.wait_for_state("Running")
    # That nobody answered is all that a browser may complain of.
    assert all("net::ERR_" in complaint for complaint in look.complaints())


def test_what_a_user_typed_is_shown_as_text(look):
    command = "<img src=x onerror=document.title='bad'>\"'&amp;"
    with StatusPage(report(command=command)) as page:
        look.open(page)
        look.wait_for_state("Starting; the first time it compiles")
        assert look.tell("return text('#command')").startswith(command)
        assert look.tell("return document.images.length") == 0
    assert look.complaints() == []


def test_nothing_is_fetched_from_elsewhere(look, page):
    look.open(page)
    look.wait_for_state("Starting; the first time it compiles")
    fetched = look.tell("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert {f"{page.url}{name}" for name in ("page.css", "page.js", "figures.js")} <= set(fetched)
    assert all(name.startswith(page.url) for name in fetched)


def test_keyboard_reaches_all_that_can_be_used(look, page):
    look.open(page, width=800)
    look.wait_for_state("Starting; the first time it compiles")
    reached = []
    for _ in range(2):
        webdriver.ActionChains(look.browser).send_keys(Keys.TAB).perform()
        script = "const at = document.activeElement; return [at.className || at.textContent, "
        reached.append(look.tell(script + "getComputedStyle(at).outlineStyle]"))
    assert reached == [["diagram", "solid"], ["The figures as JSON", "solid"]]


def test_screen_reader_is_told_the_state_alone(look, page):
    look.open(page)
    live = "return [...document.querySelectorAll('[aria-live]')].map((one) => one.outerHTML)"
    (region,) = look.tell(live)
    assert region.startswith('<p id="state" role="status" aria-live="polite">')
    names = look.tell(
        "const svg = document.querySelector('.diagram svg'); return svg.getAttribute("
        "'aria-labelledby').split(' ').map((id) => document.getElementById(id).textContent)"
    )
    assert len(names) == 2
    assert all(names)


def test_data_path_moves_only_while_data_does(look, page):
    look.open(page)
    look.wait_for_state("Starting; the first time it compiles")
    moving = "return [...document.querySelectorAll('.moves')].map((one) => one.dataset.moves)"
    for bytes_sent, moves in ((1, []), (2, ["blocks.bytes"]), (2, [])):
        page.show(status(blocks=dict.fromkeys(BLOCKS, 0) | {"bytes": bytes_sent}))
        look.wait("return text('[data-figure=\"blocks.bytes\"]')", f"{bytes_sent} B")
        look.wait(moving, moves)


def test_paper_is_light_and_not_wasted(look, page):
    look.open(page, scheme="dark", media="print")
    page.show(status())
    look.wait_for_state("Running")
    assert look.tell("return getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert look.tell("return faint()") == []
    printed = look.browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.count(b"/Type /Page\n") in (1, 2)


# --- The whole


@pytest.mark.usefixtures("namespaces")
def test_page_follows_a_real_run(look, tmp_path):
    go = tmp_path / "go"
    wait = f"ping -c 3 -i 0.1 partner && while [ ! -e {go} ]; do sleep 0.1; done; exit 5"
    words = ["live", "--page", "--quiet", "--out", tmp_path / "out", "--", "sh", "-c", wait]
    with subprocess.Popen(
        [sys.executable, "-m", "byway.sim.command", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        try:
            assert run.stderr
            line = run.stderr.readline()
            assert line.startswith("Page: http://127.0.0.1:")
            look.browser.get(line.split()[1])
            # The first time the adapter is compiled.
            WebDriverWait(look.browser, 240, 0.1).until(
                lambda _browser: look.tell("return text('#state')") == "Running"
            )
            WebDriverWait(look.browser, 20, 0.1).until(
                lambda _browser: int(look.tell("return text('[data-figure=back_frames]')")) >= 3
            )
            assert int(look.tell("return figures()['Partition manager'].messages")) > 0
            go.touch()
            look.wait_for_state("Ended, exit code 5")
        finally:
            go.touch()
            assert run.wait(30) == 5
    assert look.complaints() == []
