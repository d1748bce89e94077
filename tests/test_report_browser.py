"""The report in a headless Chromium: it draws, it is quiet, it asks nothing of any network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import Made, in_btc, made_run

from btcflow.report import render

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
HOSTILE = "</script><b>x"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip("no Chromium is installed: `apt-get install chromium`, or any of " + ", ".join(NAMES))
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the dev extra)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Seen:
    """An open page, what it said on its console, and what it asked for."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def view_once_still(self) -> tuple[str | None, str | None]:
        """The span the chart shows, read when two frames a tenth of a second apart agree."""
        before, now = None, (self.data("from"), self.data("to"))
        for _ in range(50):
            if now == before:
                break
            self.page.wait_for_timeout(100)
            before, now = now, (self.data("from"), self.data("to"))
        return now

    def data(self, name: str, of: str = "chart") -> str | None:
        value: str | None = self.page.locator(f"#{of}").get_attribute(f"data-{name}")
        return value

    def style(self, name: str) -> tuple[int, ...]:
        text = self.page.evaluate("(name) => getComputedStyle(document.documentElement).getPropertyValue(name)", name)
        return tuple(int(text.strip()[at : at + 2], 16) for at in (1, 3, 5))


def opened(browser: Any, made: Made, folder: Path, *, width: int = 1440, scheme: str = "dark") -> Seen:
    path = render(made.write(folder / "run"))
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    seen = Seen(context.new_page())
    seen.page.on("console", lambda message: seen.said.append(f"{message.type}: {message.text}"))
    seen.page.on("pageerror", lambda error: seen.said.append(f"error: {error}"))
    session = context.new_cdp_session(seen.page)
    session.on("Network.requestWillBeSent", lambda event: seen.asked.append(event["request"]["url"]))
    session.send("Network.enable")
    seen.page.goto(path.as_uri())
    seen.page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    assert seen.page.locator("html").get_attribute("data-ready") == "1", seen.said
    return seen


def pixels(seen: Seen, selector: str) -> np.ndarray:
    """The element as (height, width, 3) bytes."""
    image = pytest.importorskip("PIL.Image")
    shot = seen.page.locator(selector).screenshot()
    return np.asarray(image.open(BytesIO(shot)).convert("RGB")).astype(int)


def ink(picture: np.ndarray, color: tuple[int, ...], *, near: int = 3) -> np.ndarray:
    """Where a picture has this color; a thin slanted line is mixed with what lies below it (``near``)."""
    return (np.abs(picture - np.array(color)) <= near).all(axis=2)


def pane_tops(seen: Seen) -> list[int]:
    tops = seen.page.locator("#legends .legend").evaluate_all("boxes => boxes.map(box => parseInt(box.style.top))")
    return [*tops, 760]


def test_the_page_draws_in_silence_and_asks_for_nothing_but_itself(browser: Any, tmp_path: Path) -> None:
    made = made_run(3_500, every=100)
    made.summary["strategy"]["name"] = made.summary["name"] = HOSTILE
    seen = opened(browser, made, tmp_path)
    assert seen.said == []
    assert [url for url in seen.asked if not url.startswith("data:")] == [seen.page.url]
    assert seen.data("bars") == "3500"
    assert int(seen.data("markers") or 0) == made.frames["trades"][["entry_time", "exit_time"]].notna().sum().sum()
    assert HOSTILE in seen.page.locator("header .what").inner_text()
    assert HOSTILE in seen.page.locator(".rule").inner_text()
    assert seen.page.locator("b", has_text="x").filter(has_text=HOSTILE).count() == 2
    assert "SIMULATED" in seen.page.locator("header .badge").inner_text().upper()
    assert seen.page.locator("#tv-attr-logo").count() == 2
    last = made.frames["ledger"]["close"].iloc[-1]
    assert f"C {last:,.1f}" in seen.page.locator("#legends .legend").first.inner_text()


def test_every_pane_has_ink_and_the_out_of_sample_part_is_shaded(browser: Any, tmp_path: Path) -> None:
    seen = opened(browser, made_run(200, every=20), tmp_path)
    seen.page.locator("#chart").scroll_into_view_if_needed()
    picture = pixels(seen, "#price-stage")[:, :1_300]
    tops = pane_tops(seen)
    for pane, names in enumerate([("--gain", "--loss"), ("--gain", "--loss"), ("--accent",), ("--fund",)]):
        part = picture[tops[pane] + 26 : tops[pane + 1]]
        inks = [ink(part, seen.style(name), near=40).sum() for name in names]
        assert min(inks if pane == 0 else [sum(inks)]) > 60, pane
    background = seen.style("--bg")
    price = picture[40 : tops[1] - 30]
    columns = np.flatnonzero((~ink(price, background)).mean(axis=0) > 0.9)
    assert len(columns) > 0.25 * picture.shape[1]


def test_a_gap_is_not_drawn_over(browser: Any, tmp_path: Path) -> None:
    made = made_run(200, every=20, trials=0)
    made.frames["signals"].loc[80:120, ["spot_premium", "oi_z", "funding_apr"]] = np.nan
    seen = opened(browser, made, tmp_path)
    picture, tops = pixels(seen, "#price-stage"), pane_tops(seen)
    for pane, names in ((1, ("--gain", "--loss")), (2, ("--accent",)), (3, ("--fund",))):
        part = picture[tops[pane] + 26 : tops[pane + 1], :1_250]
        drawn = np.logical_or.reduce([ink(part, seen.style(name), near=40) for name in names]).any(axis=0)
        longest = max(len(stretch) for stretch in "".join("x" if one else " " for one in drawn[150:]).split("x"))
        assert longest > 0.15 * part.shape[1], pane


def test_the_theme_changes_colors_and_not_the_view(browser: Any, tmp_path: Path) -> None:
    seen = opened(browser, made_run(800), tmp_path)
    seen.page.locator("#tools button", has_text="1W").last.click()
    before = seen.view_once_still()
    dark = seen.style("--bg")
    seen.page.locator("#theme").click()
    assert seen.page.locator("html").get_attribute("data-theme") == "light"
    assert seen.style("--bg") == (255, 255, 255) != dark
    assert ink(pixels(seen, "#price-stage"), (255, 255, 255)).mean() > 0.3
    assert seen.view_once_still() == before
    green = seen.style("--gain")
    seen.page.locator("#palette").click()
    assert seen.style("--gain") != green
    assert seen.said == []


def test_a_reader_who_prefers_light_gets_light(browser: Any, tmp_path: Path) -> None:
    seen = opened(browser, made_run(60), tmp_path, scheme="light")
    assert seen.style("--bg") == (255, 255, 255)


def test_a_phone_never_scrolls_sideways(browser: Any, tmp_path: Path) -> None:
    made = made_run(800)
    made.summary["strategy"]["sentence"] = "a_very_long_word_" * 20
    seen = opened(browser, made, tmp_path, width=390)
    wide = "() => [document.documentElement.scrollWidth, document.body.scrollWidth]"
    assert seen.page.evaluate(wide) == [390, 390]
    assert seen.said == []


def test_a_click_on_a_trade_shows_it_on_the_chart(browser: Any, tmp_path: Path) -> None:
    made = made_run(4_000, every=40)
    seen = opened(browser, made, tmp_path)
    seen.page.locator("#trade-view tbody tr").nth(4).click()
    trade = made.frames["trades"].iloc[4]
    assert seen.data("picked") == "4"
    first, last = int(seen.data("from") or 0), int(seen.data("to") or 0)
    assert first < trade["entry_time"].timestamp() < trade["exit_time"].timestamp() < last
    assert last - first < 400 * 3_600
    seen.page.locator("#trade-view tbody tr").nth(6).press("Enter")
    assert seen.data("picked") == "6"


def test_the_trades_sort_by_number_and_filter_by_side(browser: Any, tmp_path: Path) -> None:
    made = made_run(4_000, every=40)
    seen = opened(browser, made, tmp_path)
    head = seen.page.locator("#trade-view thead button", has_text="Net")
    order = "rows => rows.map(row => Number(row.dataset.trade))"
    rows = seen.page.locator("#trade-view tbody tr")
    head.click()
    net = made.frames["trades"]["net"].round(2)
    assert net.iloc[rows.evaluate_all(order)].is_monotonic_increasing
    head.click()
    assert net.iloc[rows.evaluate_all(order)].is_monotonic_decreasing
    seen.page.locator("#trade-tools select").select_option("short")
    shown = rows.evaluate_all(order)
    assert set(made.frames["trades"]["side"].iloc[shown]) == {"short"}
    assert len(shown) == (made.frames["trades"]["side"] == "short").sum()


def test_other_candles_and_other_metrics_are_views_of_the_same_run(browser: Any, tmp_path: Path) -> None:
    seen = opened(browser, made_run(2_000), tmp_path)
    seen.page.locator("#tools button", has_text="1D").click()
    assert seen.data("bars") == "84"  # 2,000 hours from midnight on touch 84 days
    assert "view only" in seen.page.locator("#view-note").inner_text()
    seen.page.locator("#legends select").first.select_option("prem_z")
    assert "dearer" in seen.page.locator("#legends .legend").nth(1).inner_text()
    seen.page.locator("#tools button", has_text="state changes").click()
    seen.page.locator("#tools button", has_text="All").click()
    seen.page.locator("#trial-view select").first.select_option(index=2)
    assert seen.data("plots", of="trial-view") == "3"
    assert seen.said == []


def test_a_daily_signal_is_first_seen_on_daily_candles(browser: Any, tmp_path: Path) -> None:
    seen = opened(browser, made_run(24 * 90, signal_bars=24), tmp_path)
    assert seen.data("bars") == "90"
    assert seen.page.locator("#tools button[aria-pressed=true]").first.inner_text() == "1D"
    assert seen.said == []


@pytest.mark.parametrize("width", [390, 1440])
def test_an_account_in_btc_has_decimals_and_a_liquidation_is_marked(browser: Any, tmp_path: Path, width: int) -> None:
    made = in_btc(made_run(600, every=20))
    seen = opened(browser, made, tmp_path, width=width)
    assert seen.said == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") == width
    rows = seen.page.locator("#trade-view tbody tr")
    first = rows.nth(0).inner_text()
    assert "liquidated" in first
    assert "liquidated" not in rows.nth(1).inner_text()
    trade = made.frames["trades"].iloc[0]
    assert f"{abs(trade['net']):.3f}" in first
    assert f"{abs(trade['net_usd']):,.0f}" in first
    assert "Net, USD" in seen.page.locator("#trade-view thead").inner_text()
    last = made.frames["equity"]["equity"].iloc[-1]
    assert f"strategy {last:.3f}" in seen.page.locator("#equity-legends").inner_text()
    for cell in seen.page.locator("#capacity tbody th").all():
        box = cell.bounding_box()
        assert box is not None
        assert box["height"] < 40, "a capital stands on one line"


def test_a_benchmark_that_lost_all_does_not_take_the_logarithmic_axis_away(browser: Any, tmp_path: Path) -> None:
    made = made_run(9_600, every=400)
    made.frames["equity"].loc[5_000:, "buy_and_hold"] = 0.0
    seen = opened(browser, made, tmp_path)
    assert seen.said == []
    log = seen.page.locator("#equity-tools button")
    assert (log.get_attribute("aria-pressed"), log.is_disabled()) == ("true", False)
    log.click()
    assert seen.said == []
    assert "buy & hold 0 " in seen.page.locator("#equity-legends").inner_text()


@pytest.mark.parametrize("name", ["one_bar", "no_trades", "all_nan", "bare"])
def test_an_odd_run_opens_in_silence(browser: Any, tmp_path: Path, name: str) -> None:
    made = made_run(1 if name == "one_bar" else 120, every=20, trials=0)
    if name == "no_trades":
        made.frames["trades"] = made.frames["trades"].iloc[:0]
    elif name == "all_nan":
        made.frames["signals"]["oi_z"] = np.nan
    elif name == "bare":
        made.frames["signals"] = made.frames["signals"][["time", "decided_at", "target"]].iloc[:0]
    seen = opened(browser, made, tmp_path)
    assert seen.said == []
    if name == "all_nan":
        assert "no values in this run" in seen.page.locator("#legends .legend").nth(2).inner_text()


@pytest.mark.full
def test_sixty_thousand_bars_are_usable_soon_and_move_smoothly(browser: Any, tmp_path: Path) -> None:
    seen = opened(browser, made_run(60_000, every=150, trials=0), tmp_path)
    root = seen.page.locator("html")
    assert int(root.get_attribute("data-chart")) < 5_000
    assert int(root.get_attribute("data-done")) < 16_000
    seen.page.locator("#tools button", has_text="All").click()
    session = seen.page.context.new_cdp_session(seen.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    box = seen.page.locator("#chart").bounding_box()
    x, y = box["x"] + 500, box["y"] + 150
    seen.page.mouse.move(x, y)
    seen.page.mouse.down()
    before = spent()
    for step in range(60):
        seen.page.mouse.move(x + 4 * step, y)
        seen.page.wait_for_timeout(16)
    seen.page.mouse.up()
    assert 1_000 * (spent() - before) / 60 < 60
