"""The run folder: what a run leaves, written whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from btcflow.config.experiment import Experiment
from btcflow.engine.trades import trades
from btcflow.errors import StoreError
from btcflow.runs.evaluate import TimeframeAnswer
from btcflow.runs.execute import Execution
from btcflow.runs.lock import lock_of

__all__ = ["experiment_yaml", "frames_of", "write_run"]


def write_run(found: Execution, summary: dict[str, Any], folder: Path) -> Path:
    """Write every file of a run into a fresh folder beside ``folder``, then put it in place."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            made = Path(scratch) / folder.name
            made.mkdir()
            _write_files(found, summary, made)
            if folder.exists():
                shutil.rmtree(folder)
            made.replace(folder)
    except OSError as error:
        raise StoreError(
            f"the run cannot be written to {folder}: {error.strerror or error}; choose another place with --out"
        ) from error
    return folder


def experiment_yaml(experiment: Experiment) -> str:
    """The resolved experiment as YAML; reading it back gives the same experiment."""
    text: str = yaml.safe_dump(experiment.resolved(), sort_keys=False, allow_unicode=True, width=120)
    return text


def frames_of(found: Execution) -> dict[str, pd.DataFrame]:
    """The tables of a run by file name, without the suffix."""
    tables = {
        "equity": _equity(found),
        "ledger": _ledger(found.main),
        "signals": _signals(found),
        "trades": trades(found.main.ledger),
    }
    tried = [one.trials.assign(timeframe=one.timeframe) for one in found.answers if one.trials is not None]
    return tables | ({"trials": pd.concat(tried, ignore_index=True)} if tried else {})


def _write_files(found: Execution, summary: dict[str, Any], folder: Path) -> None:
    (folder / "experiment.yaml").write_text(experiment_yaml(found.experiment), encoding="utf-8")
    _write_json(folder / "lock.json", lock_of(found.experiment, found.dataset, summary))
    _write_json(folder / "summary.json", summary)
    for name, frame in frames_of(found).items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _equity(found: Execution) -> pd.DataFrame:
    main, clock = found.main, found.main.ledger.clock
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(clock.closes_at, unit="ns", utc=True),
            "equity": main.ledger.equity[:, 0],
            "buy_and_hold": found.buy_and_hold.equity,
            "segment": np.where(clock.opens < main.cut, "in_sample", "out_of_sample"),
        }
    )
    if found.spot is not None:
        frame["spot"] = found.spot.equity
    for one in found.answers[1:]:
        frame[f"equity_{one.timeframe}"] = one.ledger.equity[:, 0]
    return frame


def _ledger(main: TimeframeAnswer) -> pd.DataFrame:
    own, clock = main.ledger, main.ledger.clock
    names = ("quantity", "price_pnl", "funding", "fees", "slippage", "equity")
    prices = {name: getattr(clock, name) for name in ("open", "high", "low", "close")}
    return pd.DataFrame({"time": clock.index, **prices, **{name: getattr(own, name)[:, 0] for name in names}})


def _signals(found: Execution) -> pd.DataFrame:
    """Metrics on the main timeframe's bars, with the decisions taken on them."""
    main = found.main
    frame = found.shown.frame.reset_index(names="time").rename(columns={"price": "close"})
    own = pd.DataFrame(
        {
            "time": main.bars.index,
            "target": main.targets,
            "decided_at": pd.to_datetime(main.bars.decided_at, unit="ns", utc=True),
        }
    )
    return frame.drop(columns="decided_at").merge(own, on="time", how="inner", validate="one_to_one")
