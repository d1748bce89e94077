"""The report of a run: one HTML file that opens anywhere and asks no network for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from btcflow import timeframes
from btcflow.errors import BadRecords, StoreError
from btcflow.flow.catalog import DASHBOARD
from btcflow.report import chart_asset, encode, tables
from btcflow.report import figures as shown
from btcflow.report.curves import Curves, curves, own_trials
from btcflow.report.run_folder import RunFolder, read_run

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render", "script_json"]

_PACKAGE = "btcflow.report"
_SCRIPTS = (
    *("decode.js", "format.js", "theme.js", "rows.js", "marks.js", "panes.js"),
    *("chart.js", "equity.js", "trials.js", "trades.js", "main.js"),
)
_STYLES = ("report.css", "parts.css")


def render(run: Path, *, html: Path | None = None) -> Path:
    """Write the report of a run folder.

    Parameters
    ----------
    run : the folder of a finished run
    html : where the page goes; ``report.html`` in the folder by default

    Returns
    -------
    Path of the page: one self-contained file, the same bytes for the same folder

    Raises
    ------
    MissingData, BadRecords
        where the folder lacks what the page shows, or the chart script is not the reviewed one
    StoreError
        where the page cannot be written
    """
    folder = read_run(Path(run))
    target = Path(html) if html is not None else folder.path / "report.html"
    text = _environment().get_template("report.html.j2").render(**_context(folder))
    partial = target.with_name(target.name + ".part")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(target)
    except OSError as error:
        raise StoreError(
            f"{target}: the report could not be written ({error.strerror}); choose another place"
        ) from error
    return target


def script_json(value: Any) -> str:
    r"""JSON that is safe inside a script element: no ``<``, ``>`` or ``&``, no line separators, no NaN.

    Examples
    --------
    >>> script_json({"name": "</script><b>x"})
    '{"name":"\\u003c/script\\u003e\\u003cb\\u003ex"}'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    place = PackageLoader(_PACKAGE, "templates")
    made = Environment(loader=place, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {
        "count": shown.count,
        "number": shown.number,
        "percent": shown.percent,
        "plain": shown.plain,
        "stamp": shown.stamp,
    }
    return made


def _context(run: RunFolder) -> dict[str, Any]:
    from markupsafe import Markup

    drawn = curves(run)
    packed = encode.pack(drawn.tables)
    account, bars = tables.attribution(run)
    library, program = chart_asset.chart_script(), _program()
    for name, text in (("the chart script", library), ("the page's own script", program)):
        if "</script" in text.lower():
            raise BadRecords(f"{name} holds '</script': it cannot stand inside a page")
    return {
        "summary": run.summary,
        "odds": tables.odds(run.summary),
        "phrase": tables.trials_phrase(run.summary.verdict.trials),
        "cards": tables.cards(run),
        "segments": tables.segments(run.summary),
        "account": account,
        "bars": bars,
        "capacity": tables.capacity(run.summary),
        "refused_capitals": tables.refused_capitals(run.summary),
        "digits": shown.money_digits(run.summary.market.capital),
        "in_quote": tables.in_quote(run.summary),
        "folds": tables.folds(run.summary),
        "timeframes": tables.timeframes(run.summary),
        "period": (run.ledger["time"].iloc[0], run.equity["time"].iloc[-1]),
        "clock_bars": len(run.ledger),
        "trade_count": len(run.trades),
        "run_id": run.path.name,
        "drawn": drawn,
        "trial_rows": 0 if run.trials is None else len(run.trials),
        "ranks": _rank_correlations(run),
        "notice": chart_asset,
        "policy": _policy(library, program),
        "style": Markup("\n".join(_asset(name) for name in _STYLES)),
        "library": Markup(library),
        "program": Markup(program),
        "meta": Markup(script_json(_meta(run, drawn, packed.layout))),
        "packed": packed.text,
    }


def _meta(run: RunFolder, drawn: Curves, layout: list[dict[str, Any]]) -> dict[str, Any]:
    summary = run.summary
    columns = drawn.tables["signals"]
    step, signal = (timeframes.parse(one).seconds for one in (summary.market.clock, summary.timeframe))
    return {
        "layout": layout,
        "name": summary.name,
        "instrument": summary.market.instrument,
        "clock": summary.market.clock,
        "step": step,
        "timeframe": summary.timeframe,
        "signal": signal,
        "steps": signal > step,
        "synthetic": summary.synthetic,
        "digits": shown.money_digits(summary.market.capital),
        "quote": None if summary.in_quote is None else summary.in_quote.currency,
        "metrics": [name for name in DASHBOARD if name in columns],
        "spans": [
            {"segment": span.segment, "from": int(span.first.timestamp()), "to": int(span.last.timestamp())}
            for span in run.spans
        ],
        "daily": drawn.equity_daily,
        "trials": summary.verdict.trials,
        "odds": tables.odds(summary),
        "chosen": [
            {name: value for name, value in params.items() if _simple(value)}
            for params in ([fold.params for fold in summary.folds] or [summary.strategy.params])
        ],
    }


def _simple(value: Any) -> bool:
    return isinstance(value, (bool, int, str)) or (isinstance(value, float) and bool(np.isfinite(value)))


def _rank_correlations(run: RunFolder) -> list[tuple[str, float]]:
    """Spearman's rank correlation of in-sample with out-of-sample Sharpe, fold by fold.

    A fold with fewer than three sets that have both, or with no spread, has none.
    """
    found: list[tuple[str, float]] = []
    if run.trials is None:
        return found
    own = own_trials(run)
    folds = own["fold"] if "fold" in own.columns else pd.Series(1, index=own.index)
    for fold, rows in own.groupby(folds):
        pairs = rows[["in_sample_sharpe", "out_of_sample_sharpe"]].to_numpy(dtype=np.float64)
        ranks = pd.DataFrame(pairs[np.isfinite(pairs).all(axis=1)]).rank().to_numpy()
        if len(ranks) >= 3 and (ranks.std(axis=0) > 0).all():
            label = f"fold {fold}: " if folds.nunique() > 1 else ""
            found.append((label, float(np.corrcoef(ranks.T)[0, 1])))
    return found


def _asset(name: str) -> str:
    return (resources.files(_PACKAGE) / "assets" / name).read_text(encoding="utf-8")


def _program() -> str:
    body = "\n".join(_asset(name) for name in _SCRIPTS)
    return f'(function () {{\n"use strict";\n{body}\n}})();'


def _policy(*scripts: str) -> str:
    """A content security policy: the two scripts by hash, nothing from anywhere."""
    digests = (base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") for text in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
