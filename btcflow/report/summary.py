"""The summary of a run as the report reads it: strict about what it shows, tolerant of more."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from btcflow.errors import BadRecords, MissingData

__all__ = ["Attribution", "Fold", "Performance", "Series", "Summary", "TimeframeRow", "read_summary"]

SCHEMA = "btcflow.summary/1"


def _known(value: Any) -> Any:
    """A number that is not one (NaN in the file) is undefined, which the summary writes as null."""
    return None if isinstance(value, float) and math.isnan(value) else value


Number = Annotated[float | None, BeforeValidator(_known)]
Words = dict[str, Any]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Performance(_Part):
    """One segment of one equity curve; fractions, drawdown of either sign, None where undefined."""

    total_return: Number
    cagr: Number
    volatility: Number
    sharpe: Number
    sortino: Number
    calmar: Number
    max_drawdown: Number
    turnover: Number
    exposure: Number
    trades: int | None
    win_rate: Number
    profit_factor: Number
    average_hold_hours: Number
    max_drawdown_days: Number = None
    liquidations: int | None = None
    start: datetime | None
    end: datetime | None


class Brief(_Part):
    """The few figures that a benchmark or a compared timeframe must bring."""

    total_return: Number
    sharpe: Number
    max_drawdown: Number
    trades: int | None = None
    cagr: Number = None
    volatility: Number = None
    sortino: Number = None
    calmar: Number = None
    turnover: Number = None
    exposure: Number = None
    win_rate: Number = None
    profit_factor: Number = None
    average_hold_hours: Number = None
    max_drawdown_days: Number = None
    liquidations: int | None = None


class BriefPair(_Part):
    """In sample beside out of sample."""

    in_sample: Brief | None
    out_of_sample: Brief | None


class Benchmarks(_Part):
    """Holding the traded instrument with its costs and funding, and spot without costs."""

    buy_and_hold: BriefPair
    spot: BriefPair | None = None


class TimeframeRow(BriefPair):
    """One compared timeframe, every one scored on the same clock."""

    timeframe: str
    signals_per_year: Number


class Money(_Part):
    """Signed contributions to equity in the currency of settlement: they add up to ``net``."""

    price: float
    funding: float
    fees: float
    slippage: float
    net: float


class Attribution(_Part):
    """Where the money came from, by segment."""

    in_sample: Money | None
    out_of_sample: Money | None
    total: Money


class Fold(_Part):
    """One step of the walk-forward: parameters chosen on the train part, scored on the test part."""

    train_start: datetime
    train_end: datetime
    test_start: datetime
    test_end: datetime
    params: Words
    train_sharpe: Number
    test_sharpe: Number
    train_return: Number
    test_return: Number


class Strategy(_Part):
    """What was traded, in words."""

    name: str
    sentence: str
    params: Words


class Verdict(_Part):
    """What the statistics allow us to say, and how many trials stand behind it."""

    label: str
    sentence: str
    p: Number
    trials: int = Field(ge=1)


class MarketTerms(_Part):
    """Costs and sizing; fractions, capital in the currency of settlement."""

    instrument: str
    fee: float
    slippage: float
    delay: int
    exposure: float
    leverage: float
    capital: float = Field(gt=0)
    clock: str
    settlement: str = "quote currency"
    maintenance: list[tuple[float, float]] = []
    liquidation_fee: float = 0.0
    twap: int = 1
    impact: float = 0.0
    min_notional: float = 0.0


class Worth(_Part):
    """An account valued in another currency over one segment."""

    start_equity: Number
    end_equity: Number
    total_return: Number


class InQuote(_Part):
    """An account settled in BTC, valued at the close in the quote currency."""

    currency: str
    in_sample: Worth
    out_of_sample: Worth


class Capacity(_Part):
    """The chosen path traded with one capital."""

    capital: float
    total_return: Number
    sharpe: Number
    max_drawdown: Number
    slippage: Number
    skipped_orders: int
    liquidations: int
    refused: str = ""


class Series(_Part):
    """One input series and the hash of its content."""

    key: str
    rows: int
    first: datetime | None
    last: datetime | None
    source: str
    sha256: str


class DataTerms(_Part):
    """All input series, the period used, and what a reader must know about them."""

    series: list[Series]
    start: datetime | None
    end: datetime | None
    notes: list[str]


class Lock(_Part):
    """What must be the same for the result to be the same."""

    config_sha256: str
    data_sha256: str
    result_digest: str
    code: Any
    packages: dict[str, str]


class Summary(_Part):
    """``summary.json`` of a run folder."""

    schema_name: Literal["btcflow.summary/1"] = Field(alias="schema")
    name: str
    question: str
    synthetic: bool
    strategy: Strategy
    timeframe: str
    timeframes: list[TimeframeRow]
    verdict: Verdict
    in_sample: Performance | None
    out_of_sample: Performance | None
    benchmark: Benchmarks
    attribution: Attribution
    folds: list[Fold]
    market: MarketTerms
    capacity: list[Capacity] = []
    in_quote: InQuote | None = None
    data: DataTerms
    seed: int | None
    lock: Lock
    warnings: list[str]
    command: str


def read_summary(path: Path) -> Summary:
    """Read and check ``summary.json``.

    Raises
    ------
    MissingData
        where there is no such file
    BadRecords
        where it is not JSON, or lacks what the report shows: every problem at once, by key path
    """
    if not path.is_file():
        raise MissingData(f"{path} is missing: a run folder holds summary.json; expected the folder of a finished run")
    try:
        summary = Summary.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise BadRecords(
            f"{path}:{error.lineno}:{error.colno}: not JSON ({error.msg}); run the experiment again"
        ) from error
    except ValidationError as error:
        lines = [f"{path.name}: {_where(one['loc'])}: {one['msg']}" for one in error.errors()]
        hint = f"expected the schema {SCHEMA}; run the experiment again with this version"
        raise BadRecords("\n".join([*lines, hint])) from error
    for segment in ("in_sample", "out_of_sample", "total"):
        _adds_up(segment, getattr(summary.attribution, segment), summary.market.capital)
    return summary


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the document"


def _adds_up(segment: str, money: Money | None, capital: float) -> None:
    """Refuse an account whose parts are not its sum (1e-6 of the capital: the file holds rounded floats)."""
    if money is None:
        return
    parts = money.price + money.funding + money.fees + money.slippage
    if not abs(parts - money.net) <= 1e-6 * max(capital, abs(money.net)):
        raise BadRecords(
            f"summary.json: attribution.{segment}: price {money.price:g} + funding {money.funding:g} "
            f"+ fees {money.fees:g} + slippage {money.slippage:g} = {parts:g}, but net is {money.net:g}; "
            "costs are written as negative amounts"
        )
