"""One picture of a run: the traded price, and equity against buy and hold, segments shaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from btcflow.errors import StoreError
from btcflow.report import tables
from btcflow.report.figures import money_digits, percent
from btcflow.report.run_folder import RunFolder, read_run

__all__ = ["picture"]

_SHADES = {"warm_up": "#eceef2", "in_sample": "#ffffff", "out_of_sample": "#dbe7fb"}
_WORDS = {"warm_up": "warm-up", "in_sample": "in sample", "out_of_sample": "out of sample"}
_YEAR_BARS_DAYS = 365


def picture(run: Path, out: Path) -> Path:
    """Draw a run as a PNG.

    Parameters
    ----------
    run : the folder of a finished run
    out : the file to write, or a folder that gets ``<run name>.png``

    Returns
    -------
    Path of the picture, 1200 x 750 pixels, the same bytes for the same folder and matplotlib

    Raises
    ------
    MissingData, BadRecords
        where the folder lacks what is drawn
    StoreError
        where the picture cannot be written
    """
    folder = read_run(Path(run))
    target = Path(out)
    if target.is_dir():
        target = target / f"{folder.path.name}.png"
    figure = _draw(folder)
    try:
        figure.savefig(target, format="png", metadata={"Software": None})
    except OSError as error:
        raise StoreError(
            f"{target}: the picture could not be written ({error.strerror}); choose another place"
        ) from error
    return target


def _draw(run: RunFolder) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 7.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    price, equity = figure.subplots(2, 1, sharex=True, height_ratios=(1.0, 1.2))
    closes = (run.ledger["time"] + run.step).dt.tz_localize(None).to_numpy()
    times = run.equity["time"].dt.tz_localize(None).to_numpy()
    price.plot(closes, run.ledger["close"].to_numpy(), color="#30343f", linewidth=0.8)
    price.set_ylabel(f"{run.summary.market.instrument} close", parse_math=False)
    _curves(equity, times, run)
    for axes in (price, equity):
        _shade(axes, run)
        _scale(axes, long=_is_long(times), digits=money_digits(run.summary.market.capital) if axes is equity else 0)
    _titles(figure, price, run)
    return figure


def _curves(axes: Any, times: np.ndarray, run: RunFolder) -> None:
    drawn = [("equity", "strategy", "#1f5fd1", 1.6), ("buy_and_hold", "buy & hold (same costs)", "#777d8a", 1.0)]
    if "spot" in run.equity.columns:
        drawn.append(("spot", "spot, no costs", "#b98200", 0.8))
    for name, label, color, width in drawn:
        axes.plot(times, run.equity[name].to_numpy(), color=color, linewidth=width, label=label)
    axes.set_ylabel(f"equity, {run.summary.market.settlement}", parse_math=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, ncols=len(drawn), borderaxespad=0.1)
    axes.set_xlabel("UTC")


def _shade(axes: Any, run: RunFolder) -> None:
    for span in run.spans:
        first = (span.first - run.step).tz_localize(None)
        last = span.last.tz_localize(None)
        axes.axvspan(first, last, color=_SHADES[span.segment], linewidth=0, zorder=0)
        middle = first + (last - first) / 2
        place = axes.get_xaxis_transform()
        axes.text(
            middle, 0.02, _WORDS[span.segment], transform=place, ha="center", fontsize=9, color="#555b66", clip_on=True
        )


def _is_long(times: np.ndarray) -> bool:
    """More than a year: a logarithmic axis, so that an early year can be seen."""
    return bool(times[-1] - times[0] > np.timedelta64(_YEAR_BARS_DAYS, "D"))


def _scale(axes: Any, *, long: bool, digits: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    own = np.asarray(
        axes.lines[0].get_ydata(), dtype=np.float64
    )  # a benchmark that lost all does not take the axis away
    own = own[np.isfinite(own)]
    if long and own.size and own.min() > 0:
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{digits}f}"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e3e5ea", linewidth=0.5)


def _titles(figure: Any, axes: Any, run: RunFolder) -> None:
    summary = run.summary
    returns = [percent(part.total_return if part else None) for part in (summary.out_of_sample, summary.in_sample)]
    figure.suptitle(f"{summary.name} ({summary.timeframe})", fontsize=14, fontweight="bold", parse_math=False)
    phrase = tables.trials_phrase(summary.verdict.trials)
    line = f"{summary.verdict.label}: out of sample {returns[0]}, in sample {returns[1]}, {phrase}"
    axes.set_title(line, fontsize=10, parse_math=False)
    if summary.synthetic:
        figure.text(
            0.5, 0.5, "SIMULATED", fontsize=70, color="#c05600", alpha=0.16, ha="center", va="center", rotation=20
        )
        figure.text(
            0.99, 0.985, "SIMULATED MARKET", fontsize=11, color="#a34a00", ha="right", va="top", fontweight="bold"
        )
