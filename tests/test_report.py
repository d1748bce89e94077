"""The report page and the picture, from a made-up run folder; what a browser makes of them is beside."""

from __future__ import annotations

import base64
import doctest
import hashlib
import importlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_runs import COINS, Made, in_btc, made_run

from btcflow.errors import BadRecords, MissingData, StoreError
from btcflow.report import picture, render
from btcflow.report.chart_asset import LINK, NOTICE, chart_script, script_path
from btcflow.report.curves import curves
from btcflow.report.run_folder import read_run

HOSTILE = "</script><b>x<img src=x onerror=alert(1)>"


class Texts(HTMLParser):
    """Every element's tag, attributes and own text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[int] = []
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        self.open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.elements[self.open.pop()][0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for at in self.open:
            self.elements[at][2].append(data)

    def of(self, *tags: str) -> list[str]:
        return [" ".join("".join(text).split()) for tag, _, text in self.elements if tag in tags]


def page_of(made: Made, folder: Path) -> str:
    return render(made.write(folder / "run")).read_text(encoding="utf-8")


def own_text(page: str) -> str:
    """The page without the chart library and the packed bytes."""
    page = page.replace(chart_script(), "")
    return re.sub(r'(<script type="text/plain" id="packed">)[^<]*', r"\1", page)


def parts_of(page: str) -> tuple[dict[str, Any], str]:
    meta = re.search(r'<script type="application/json" id="meta">(.*?)</script>', page, re.DOTALL)
    packed = re.search(r'<script type="text/plain" id="packed">(.*?)</script>', page, re.DOTALL)
    assert meta is not None
    assert packed is not None
    return json.loads(meta[1]), packed[1]


# what the page says


def test_a_sharpe_is_never_shown_without_the_number_of_trials(tmp_path: Path) -> None:
    page = page_of(made_run(trials=1_200), tmp_path)
    shown = [
        text
        for text in Texts(page).of("th", "td", "p", "h2", "figcaption", "dt")
        if re.search("sharpe|sortino", text, re.I)
    ]
    assert len(shown) > 6
    assert [text for text in shown if "trials" not in text and text != "Sharpe ratio"] == []
    card = next(text for text in Texts(page).of("div") if text.startswith("Sharpe ratio out of sample"))
    assert "best of 1,200 trials · p not assessed" in card


def test_a_card_never_shows_in_sample_alone(tmp_path: Path) -> None:
    page = Texts(page_of(made_run(), tmp_path))
    shown = [" ".join("".join(text).split()) for tag, attrs, text in page.elements if attrs.get("class") == "card"]
    assert len(shown) == 8
    assert all(
        text.index("out of sample") < text.index("in sample", text.index("out of sample") + 13) for text in shown
    )


@pytest.mark.parametrize("synthetic", [True, False])
def test_a_simulated_market_is_marked_and_a_real_one_is_not(tmp_path: Path, synthetic: bool) -> None:
    made = made_run()
    made.summary["synthetic"] = synthetic
    page = page_of(made, tmp_path)
    assert ("SIMULATED MARKET" in page) is synthetic
    assert ('class="badge"' in page) is synthetic
    assert page.index("<title>SIMULATED") > 0 if synthetic else "<title>SIMULATED" not in page


def test_an_account_in_btc_has_decimals_and_every_amount_its_currency(tmp_path: Path) -> None:
    made = in_btc(made_run())
    text = page_of(made, tmp_path)
    net = made.summary["attribution"]["total"]["net"]
    assert f"{abs(net):.3f} (" in text
    assert "In BTC, after fees" in text
    assert "The same account in USD" in text
    assert "Capital, USD" in text
    assert f"{10:.3f} BTC" in text
    assert "10,000,000,000,000: market.impact is 1.0" in text
    assert "too large" in text


def test_trades_and_equity_in_btc_keep_their_digits(tmp_path: Path) -> None:
    made = in_btc(made_run())
    drawn = curves(read_run(made.write(tmp_path / "run"))).tables
    for table, name in (("trades", "net"), ("trades", "fees"), ("equity", "equity"), ("equity", "buy_and_hold")):
        column = drawn[table][name]
        exact = made.frames[table][name].to_numpy()
        assert np.abs(column.values / 10.0**column.decimals - exact).max() <= 0.5 * 10.0**-column.decimals
        assert column.decimals >= 5, "a cent of 10 BTC at 10,000 is 1e-7 of it"
    assert drawn["trades"]["liquidated"].values.sum() == 1
    assert COINS * 100_000 == 10


def test_a_folder_of_an_older_run_has_no_liquidations(tmp_path: Path) -> None:
    drawn = curves(read_run(made_run().write(tmp_path / "run"))).tables
    assert drawn["trades"]["liquidated"].values.sum() == 0
    assert "net_usd" not in drawn["trades"]


def test_the_verdict_stands_before_every_figure(tmp_path: Path) -> None:
    page = own_text(page_of(made_run(), tmp_path))
    body = page[page.index("<main>") :]
    assert body.index("NOT ASSESSED") < body.index('class="figure')
    assert body.index("No test of luck was run") < body.index('class="cards"')


def test_every_word_of_the_run_stays_text(tmp_path: Path) -> None:
    def spoil(value: Any) -> Any:
        if isinstance(value, dict):
            return {f"{key}": spoil(one) for key, one in value.items()}
        if isinstance(value, list):
            return [spoil(one) for one in value]
        return (
            HOSTILE + value
            if isinstance(value, str) and not re.match(r"btcflow\.summary|\d{4}-|\d?[hD]$|1h|3D", value)
            else value
        )

    made = made_run()
    made.summary = spoil(made.summary)
    made.summary["lock"]["packages"] = {HOSTILE: HOSTILE}
    made.summary["strategy"]["params"][HOSTILE] = HOSTILE
    made.frames["signals"]["state"] = HOSTILE
    made.frames["trials"][f"param_{HOSTILE}"] = HOSTILE
    page = page_of(made, tmp_path)
    tags = [tag for tag, _, _ in Texts(page).elements]
    assert "img" not in tags
    assert tags.count("script") == 4
    assert "<b>x" not in page
    assert parts_of(page)[0]["name"].startswith(HOSTILE)


def test_the_page_asks_nothing_from_anywhere(tmp_path: Path) -> None:
    page = page_of(made_run(), tmp_path)
    own = own_text(page)
    assert set(re.findall(r"https?://[^\s\"'<)]+", own)) == {
        LINK,
        "https://www.apache.org/licenses/LICENSE-2.0",
        "http://www.w3.org/2000/svg",
    }
    assert re.findall(r"@import|url\(|\bfetch\(|XMLHttpRequest|import\(|<link rel=\"(?!icon)", own) == []
    assert NOTICE in own


def test_the_policy_allows_just_the_two_scripts_of_the_page(tmp_path: Path) -> None:
    page = page_of(made_run(), tmp_path)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    digests = {
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for text in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    }
    assert set(re.findall(r"sha256-([^ ;]*?)(?:'|&#39;)", policy[1])) == digests
    assert len(digests) == 2
    assert "default-src &#39;none&#39;" in policy[1]
    assert "connect-src" not in policy[1]


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    run = made_run().write(tmp_path / "run")
    first, second = render(run), render(run, html=tmp_path / "again.html")
    assert first == run / "report.html"
    assert first.read_bytes() == second.read_bytes()
    squeezed = base64.b64decode(parts_of(first.read_text(encoding="utf-8"))[1])
    assert squeezed[4:8] == bytes(4)  # gzip writes the time of day here unless told not to
    one, two = picture(run, tmp_path / "one.png"), picture(run, tmp_path / "two.png")
    assert one.read_bytes() == two.read_bytes()


def test_sixty_thousand_bars_fit_in_two_and_a_half_megabytes(tmp_path: Path) -> None:
    page = render(made_run(60_000, every=150, trials=1_000).write(tmp_path / "run"))
    assert page.stat().st_size < 2_500_000


# odd runs


def odd_runs() -> dict[str, Made]:
    runs = {name: made_run(120, every=20) for name in ("no_trades", "all_nan", "bare", "no_split", "gap")}
    runs["no_trades"].frames["trades"] = runs["no_trades"].frames["trades"].iloc[:0]
    for name in ("spot_premium", "oi_z", "funding_apr"):
        runs["all_nan"].frames["signals"][name] = np.nan
    bare = runs["bare"]
    bare.frames["signals"] = bare.frames["signals"][["time", "decided_at", "target"]]
    bare.frames["equity"] = bare.frames["equity"].drop(columns="spot")
    del bare.frames["trials"], bare.summary["benchmark"]["spot"]
    bare.summary |= {"folds": [], "warnings": [], "timeframes": bare.summary["timeframes"][:1], "seed": None}
    runs["no_split"].summary["out_of_sample"] = None
    runs["no_split"].summary["attribution"]["out_of_sample"] = None
    runs["no_split"].frames["equity"]["segment"] = "in_sample"
    for name in ("ledger", "equity"):
        runs["gap"].frames[name] = runs["gap"].frames[name].drop(index=range(50, 60))
    return runs | {"one_bar": made_run(1, trials=0)}


@pytest.mark.parametrize("name", list(odd_runs()))
def test_an_odd_run_has_a_page_and_a_picture(tmp_path: Path, name: str) -> None:
    run = odd_runs()[name].write(tmp_path / "run")
    page = render(run).read_text(encoding="utf-8")
    assert ("The rule never traded" in page) is (name in ("no_trades", "one_bar"))
    assert ('id="trials"' in page) is (name not in ("bare", "one_bar"))
    assert picture(run, tmp_path).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_figure_that_is_not_defined_is_a_dash(tmp_path: Path) -> None:
    made = made_run()
    made.summary["out_of_sample"]["sharpe"] = float("nan")
    card = next(
        text for text in Texts(page_of(made, tmp_path)).of("div") if text.startswith("Sharpe ratio out of sample")
    )
    assert card.startswith("Sharpe ratio out of sample– in sample+0.41")


# refusals


def test_every_missing_key_is_named_at_once(tmp_path: Path) -> None:
    made = made_run()
    del made.summary["verdict"]["trials"], made.summary["in_sample"]["sharpe"]
    with pytest.raises(BadRecords) as refusal:
        page_of(made, tmp_path)
    assert "verdict.trials: Field required" in str(refusal.value)
    assert "in_sample.sharpe: Field required" in str(refusal.value)


def test_more_keys_than_the_page_needs_are_no_fault(tmp_path: Path) -> None:
    made = made_run()
    made.summary["more"] = made.summary["verdict"]["more"] = {"any": 1}
    assert "NOT ASSESSED" in page_of(made, tmp_path)


def test_an_account_that_does_not_add_up_is_refused(tmp_path: Path) -> None:
    made = made_run()
    made.summary["attribution"]["total"]["fees"] *= -1
    with pytest.raises(BadRecords, match=r"attribution\.total: .* but net is .* costs are written as negative"):
        page_of(made, tmp_path)


def test_a_missing_file_column_or_folder_is_named(tmp_path: Path) -> None:
    run = made_run().write(tmp_path / "run")
    with pytest.raises(MissingData, match="no such run folder"):
        render(tmp_path / "nowhere")
    frame = pd.read_parquet(run / "trades.parquet")
    frame.drop(columns=["side", "net"]).to_parquet(run / "trades.parquet")
    with pytest.raises(BadRecords, match=r"trades.parquet lacks the columns side, net; it holds: entry_time"):
        render(run)
    (run / "trades.parquet").unlink()
    with pytest.raises(MissingData, match=r"run/trades.parquet is missing"):
        render(run)
    (run / "summary.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadRecords, match=r"summary.json:1:2: not JSON"):
        render(run)


@pytest.mark.parametrize("fault", ["naive", "order", "segment", "empty"])
def test_bad_rows_are_refused_in_words(tmp_path: Path, fault: str) -> None:
    made = made_run()
    equity, ledger = made.frames["equity"], made.frames["ledger"]
    if fault == "naive":
        ledger["time"] = ledger["time"].dt.tz_localize(None)
    elif fault == "order":
        made.frames["ledger"] = ledger.iloc[::-1]
    elif fault == "segment":
        equity["segment"] = "test"
    else:
        made.frames["equity"] = equity.iloc[:0]
    words = {
        "naive": "tz-aware",
        "order": "does not rise",
        "segment": "segment 'test'; expected one of",
        "empty": "no rows",
    }
    with pytest.raises(BadRecords, match=words[fault]):
        page_of(made, tmp_path)


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    run = made_run().write(tmp_path / "run")
    with pytest.raises(StoreError, match="could not be written"):
        render(run, html=tmp_path / "nowhere" / "report.html")
    with pytest.raises(StoreError, match="could not be written"):
        picture(run, tmp_path / "nowhere" / "picture.png")
    assert not (run / "report.html").exists()


# the package


def test_a_changed_chart_script_is_refused(tmp_path: Path) -> None:
    changed = tmp_path / "chart.js"
    changed.write_bytes(script_path().read_bytes() + b" ")
    with pytest.raises(BadRecords, match="sha256"):
        chart_script(changed)
    with pytest.raises(MissingData, match="chart script"):
        script_path("json")


def test_the_carrier_of_the_chart_script_is_never_imported(tmp_path: Path) -> None:
    run = made_run().write(tmp_path / "run")
    code = f"import sys; from pathlib import Path; from btcflow.report import render; render(Path({str(run)!r}))"
    code += "; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"lwcharts", "matplotlib", "vectorbt", "optuna"}.isdisjoint(loaded)


def test_no_third_party_script_lies_in_the_package() -> None:
    here = resources.files("btcflow.report")
    files = [one for folder in ("assets", "templates") for one in (here / folder).iterdir() if one.is_file()]
    assert {Path(one.name).suffix for one in files} == {".css", ".js", ".j2"}
    assert max(len(one.read_bytes()) for one in files) < 20_000
    assert not any("@license" in one.read_text(encoding="utf-8") for one in files)


def test_a_report_reads_back_the_segments_in_order(tmp_path: Path) -> None:
    run = read_run(made_run(200).write(tmp_path / "run"))
    assert [span.segment for span in run.spans] == ["warm_up", "in_sample", "out_of_sample"]
    assert run.starting_equity("warm_up") == 100_000.0
    assert run.starting_equity("out_of_sample") == run.equity["equity"].iloc[139]


@pytest.mark.parametrize("name", ["figures", "encode", "curves", "page"])
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    module = importlib.import_module(f"btcflow.report.{name}")
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
