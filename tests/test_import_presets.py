"""Shipped import presets: a file in the shape of each program or vendor comes in as the truth it was made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from btcflow.data.import_spec import ImportSpec, load_spec, presets
from btcflow.data.imports import build_records, import_files
from btcflow.data.records import Records
from btcflow.data.store import Store
from btcflow.errors import BadRecords, UnknownName

HOURS = pd.date_range("2024-01-01", periods=48, freq="h", tz="UTC")
DAYS = pd.date_range("2024-01-01", periods=30, freq="D", tz="UTC")
EIGHTHS = pd.date_range("2024-01-01", periods=30, freq="8h", tz="UTC")


def ms(times: pd.DatetimeIndex, unit: int = 1_000_000) -> list[int]:
    return [one.value // unit for one in times]


def bars(times: pd.DatetimeIndex) -> pd.DataFrame:
    """Bars that are a function of their hour."""
    t = np.arange(len(times))
    close = 40_000.0 + 10 * t
    frame = {"open": close - 5, "high": close + 7.5, "low": close - 8.25, "close": close, "volume": 10.0 + t}
    return pd.DataFrame(frame, index=times)


def rates(times: pd.DatetimeIndex) -> np.ndarray:
    return np.round(0.0001 + 0.00001 * (np.arange(len(times)) % 9 - 4), 8)


def interest(times: pd.DatetimeIndex) -> np.ndarray:
    return 2e10 + 1e7 * np.arange(len(times))


def freqtrade(frame: pd.DataFrame, path: Path) -> None:
    """As freqtrade writes: a date column in milliseconds UTC, compressed feather."""
    date = frame.index.as_unit("ms").rename("date")
    frame.set_axis(date, axis=0).reset_index().to_feather(path, compression="lz4")


def text(frame: pd.DataFrame, path: Path, first: str = "") -> None:
    path.write_text(first + frame.to_csv(index=False))


def ohlc(
    times: pd.DatetimeIndex, close: np.ndarray, names: str, *, factor: float = 1.0, unit: int = 1_000_000
) -> pd.DataFrame:
    """A vendor's candles: the time of the open, and the value at the close."""
    values = np.round(close * factor, 10)
    columns = [ms(times, unit), values * 0.9, values * 1.1, values * 0.8, values]
    return pd.DataFrame(dict(zip(names.split(), columns, strict=True)))


def settled(times: pd.DatetimeIndex) -> tuple[pd.DatetimeIndex, np.ndarray]:
    """Settlements at the close of intervals that open at ``times``."""
    return times + pd.Timedelta(hours=8), rates(times)


def _freqtrade_bars(path: Path) -> None:
    freqtrade(bars(HOURS), path)


def _freqtrade_funding(path: Path) -> None:
    zeros = dict.fromkeys(("high", "low", "close", "volume"), 0.0)
    freqtrade(pd.DataFrame({"open": rates(EIGHTHS), **zeros}, index=EIGHTHS), path)


def _freqtrade_rate(path: Path) -> None:
    freqtrade(pd.DataFrame({"funding_rate": rates(EIGHTHS)}, index=EIGHTHS), path)


def _cryptodatadownload(path: Path, *, capitals: bool = False, unit: int = 1_000_000_000) -> None:
    frame = bars(HOURS).reset_index(drop=True)
    frame.insert(0, "unix", ms(HOURS, unit))
    frame.insert(1, "date", [f"{one:%Y-%m-%d %H:%M:%S}" for one in HOURS])
    frame.insert(2, "symbol", "BTC/USD")
    frame["Volume USD"] = frame["volume"] * frame["close"]
    frame = frame.rename(columns={"volume": "Volume BTC"})
    if capitals:
        frame = frame.rename(columns=lambda name: name[0].upper() + name[1:])
    text(frame.iloc[::-1], path, "www.CryptoDataDownload.com\n")


def _velo(times: pd.DatetimeIndex, **columns: np.ndarray) -> pd.DataFrame:
    """Two exchanges in one file, row by row."""
    one = pd.DataFrame(
        {"exchange": "binance-futures", "coin": "BTC", "product": "BTCUSDT", "time": ms(times), **columns}
    )
    other = one.assign(exchange="bybit", **{name: values * 0.5 for name, values in columns.items()})
    return pd.concat([one, other]).sort_values(["time", "exchange"])


@dataclass(frozen=True)
class Case:
    """How to write a file of a preset, and what it says: stamps and the column by which it is known."""

    write: Callable[[Path], None]
    key: str
    stamps: pd.DatetimeIndex
    column: str
    values: np.ndarray
    ending: str = ".csv"


PERP = "binance:BTCUSDT"
NEXT_DAY = DAYS + pd.Timedelta(days=1)
CASES = {
    "freqtrade_ohlcv": Case(
        _freqtrade_bars, f"{PERP} ohlcv 1h", HOURS, "volume", bars(HOURS)["volume"].to_numpy(), ".feather"
    ),
    "freqtrade_spot": Case(
        _freqtrade_bars, "binance:BTC/USDT ohlcv 1h", HOURS, "close", bars(HOURS)["close"].to_numpy(), ".feather"
    ),
    "freqtrade_mark": Case(
        _freqtrade_bars, f"{PERP} mark 1h", HOURS, "close", bars(HOURS)["close"].to_numpy(), ".feather"
    ),
    "freqtrade_funding": Case(_freqtrade_funding, f"{PERP} funding 8h", EIGHTHS, "rate", rates(EIGHTHS), ".feather"),
    "freqtrade_funding_rate": Case(_freqtrade_rate, f"{PERP} funding 8h", EIGHTHS, "rate", rates(EIGHTHS), ".feather"),
    "cryptodatadownload": Case(
        _cryptodatadownload, "bitstamp:BTC/USD ohlcv 1h", HOURS, "volume", bars(HOURS)["volume"].to_numpy()
    ),
    "cryptodatadownload_binance": Case(
        lambda path: _cryptodatadownload(path, capitals=True, unit=1_000_000),
        "binance:BTC/USDT ohlcv 1h",
        HOURS,
        "close",
        bars(HOURS)["close"].to_numpy(),
    ),
    "coinglass_oi": Case(
        lambda path: text(ohlc(DAYS, interest(DAYS), "time open high low close"), path),
        "coinglass:BTC open_interest 1D",
        NEXT_DAY,
        "value",
        interest(DAYS),
    ),
    "coinglass_funding": Case(
        lambda path: text(ohlc(EIGHTHS, rates(EIGHTHS), "time open high low close", factor=100), path),
        f"{PERP} funding 8h",
        settled(EIGHTHS)[0],
        "rate",
        rates(EIGHTHS),
    ),
    "coinalyze_oi": Case(
        lambda path: text(ohlc(DAYS, interest(DAYS), "t o h l c", unit=1_000_000_000), path),
        "coinalyze:BTCUSDT_PERP.A open_interest 1D",
        NEXT_DAY,
        "value",
        interest(DAYS),
    ),
    "coinalyze_funding": Case(
        lambda path: text(ohlc(EIGHTHS, rates(EIGHTHS), "t o h l c", factor=100, unit=1_000_000_000), path),
        f"{PERP} funding 8h",
        settled(EIGHTHS)[0],
        "rate",
        rates(EIGHTHS),
    ),
    "velo_oi": Case(
        lambda path: text(_velo(DAYS, dollar_open_interest_close=interest(DAYS)), path),
        "velo:binance-futures BTCUSDT open_interest 1D",
        NEXT_DAY,
        "value",
        interest(DAYS),
    ),
    "velo_funding": Case(
        lambda path: text(_velo(EIGHTHS, funding_rate=rates(EIGHTHS)), path),
        f"{PERP} funding 8h",
        settled(EIGHTHS)[0],
        "rate",
        rates(EIGHTHS),
    ),
    "plain_ohlcv": Case(
        lambda path: text(bars(HOURS).reset_index(drop=True).assign(time=ms(HOURS)), path),
        f"{PERP} ohlcv 1h",
        HOURS,
        "volume",
        bars(HOURS)["volume"].to_numpy(),
    ),
    "plain_funding": Case(
        lambda path: text(pd.DataFrame({"time": ms(EIGHTHS, 1_000), "rate": rates(EIGHTHS)}), path),
        f"{PERP} funding 8h",
        EIGHTHS,
        "rate",
        rates(EIGHTHS),
    ),
    "plain_oi": Case(
        lambda path: text(pd.DataFrame({"time": ms(HOURS, 1), "value": interest(HOURS) / 1e6}), path),
        f"{PERP} open_interest 1h",
        HOURS,
        "value",
        interest(HOURS) / 1e6,
    ),
}


def test_every_preset_has_a_case_here() -> None:
    assert set(presets()) == set(CASES)


def imported(folder: Path, name: str) -> Records:
    case = CASES[name]
    path = folder / f"mine{case.ending}"
    case.write(path)
    [entry] = load_spec(Path(name)).files
    return build_records(folder, entry.model_copy(update={"file": path.name}))[0]


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_preset_makes_of_its_file_what_the_file_was_made_of(tmp_path: Path, name: str) -> None:
    records, case = imported(tmp_path, name), CASES[name]
    assert str(records.key) == case.key
    assert records.frame["stamp"].tolist() == case.stamps.tolist()
    assert np.allclose(records.column(case.column), case.values, rtol=1e-12, atol=0)
    assert (records.known_at >= records.stamp).all()
    if records.key.kind == "funding":
        assert set(records.column("spacing_hours")) == set(records.column("rate_hours")) == {8.0}


def test_one_file_and_the_name_of_a_preset_are_enough(tmp_path: Path) -> None:
    CASES["coinglass_oi"].write(tmp_path / "whatever it is called.csv")
    store = Store(tmp_path / "store")
    report = import_files(tmp_path / "whatever it is called.csv", load_spec(Path("coinglass_oi")), store)
    assert [(str(one.key), one.kept) for one in report] == [("coinglass:BTC open_interest 1D", 30)]
    assert len(store.dataset()) == 1


def test_rows_of_other_series_in_one_file_are_left_out_and_counted(tmp_path: Path) -> None:
    CASES["velo_oi"].write(tmp_path / "velo.csv")
    [report] = import_files(tmp_path / "velo.csv", load_spec(Path("velo_oi")), Store(tmp_path / "store"))
    assert (report.read, report.kept, report.dropped) == (60, 30, (("exchange is not binance-futures", 30),))


def test_a_preset_that_is_not_there_is_said_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match="did you mean 'coinglass_oi'") as caught:
        load_spec(Path("coinglas_oi"))
    assert caught.value.exit_code == 78
    (tmp_path / "coinglass_oi").write_text("files: []\n")
    with pytest.raises(ValueError, match="files"):
        load_spec(Path("coinglass_oi"))


# -- what is refused ---------------------------------------------------------------------------------


def _mixed(path: Path) -> None:
    _cryptodatadownload(path)
    lines = path.read_text().splitlines()
    lines[12] = lines[12].replace(",", "000,", 1)
    path.write_text("\n".join(lines))


def _no_comment(path: Path) -> None:
    _cryptodatadownload(path)
    path.write_text(path.read_text().split("\n", maxsplit=1)[1])


def _other_header(path: Path) -> None:
    _cryptodatadownload(path, capitals=True)


def _not_times(path: Path) -> None:
    _cryptodatadownload(path)
    path.write_text(path.read_text().replace("17", "99"))


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (_mixed, ["row 11", "time units are mixed", "in row 1 is in s", "in ms"]),
        (_no_comment, ["no column 'unix'"]),
        (_other_header, ["no column", "name the file's columns under columns:"]),
        (_not_times, ["in no unit a time from 2009 to 2100"]),
        (lambda path: path.write_bytes(b""), ["no header line"]),
        (lambda path: path.write_bytes(b"PAR1\xff\xfe\x00 not text"), ["cannot be read"]),
    ],
)
def test_a_bad_file_is_one_clear_error_and_leaves_no_trace(
    tmp_path: Path, write: Callable[[Path], None], said: list[str]
) -> None:
    path = tmp_path / "cdd.csv"
    write(path)
    with pytest.raises(BadRecords) as caught:
        import_files(path, load_spec(Path("cryptodatadownload")), Store(tmp_path / "store"))
    assert "cdd.csv" in str(caught.value)
    for part in said:
        assert part in str(caught.value), caught.value
    assert not (tmp_path / "store").exists()


def test_a_feather_file_that_is_none_or_cut_off_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "bars.feather"
    _freqtrade_bars(path)
    whole = path.read_bytes()
    for body in (whole[: len(whole) // 2], b"time,open\n1,2\n", b""):
        path.write_bytes(body)
        with pytest.raises(BadRecords, match=r"bars\.feather: cannot be read"):
            import_files(path, load_spec(Path("freqtrade_ohlcv")), Store(tmp_path / "store"))


def test_taker_volume_and_an_index_come_in_from_a_table_too(tmp_path: Path) -> None:
    base = {"file": "x.csv", "venue": "binance", "symbol": "BTCUSDT", "timeframe": "1h", "stamp": "bar_open"}
    time = {"column": "time", "unit": "epoch"}
    text(bars(HOURS).reset_index(drop=True).assign(time=ms(HOURS), buy=1.5), tmp_path / "x.csv")
    for kind in ("taker_volume", "index"):
        [entry] = ImportSpec.model_validate({"files": [base | {"kind": kind, "time": time}]}).files
        assert len(build_records(tmp_path, entry)[0]) == 48
    text(bars(HOURS).reset_index(drop=True).assign(time=ms(HOURS), buy=-1.5), tmp_path / "x.csv")
    [entry] = ImportSpec.model_validate({"files": [base | {"kind": "taker_volume", "time": time}]}).files
    with pytest.raises(BadRecords, match="expected a volume of zero or more"):
        build_records(tmp_path, entry)
