"""The import spec: what contradicts itself is refused where it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from importing import BARS, FUNDING, INTEREST, spec
from pydantic import ValidationError

from btcflow.data.import_spec import load_spec
from btcflow.errors import ConfigError


@pytest.mark.parametrize(
    ("entry", "changes", "said"),
    [
        (BARS, {"role": None}, "expected role"),
        (BARS, {"aggregate": True}, "expected role"),
        (BARS, {"role": "perp"}, "margin: linear or inverse"),
        (BARS, {"margin": "linear"}, "no margin for spot"),
        (BARS, {"stamp": "settlement"}, "expected bar_open or bar_close"),
        (FUNDING, {"stamp": "bar_open"}, "expected settlement"),
        (INTEREST, {"stamp": "bar_open"}, "expected instant or value_at_close"),
        (BARS, {"timeframe": "1d"}, "did you mean '1D'"),
        (BARS, {"kind": "ohlc"}, "'ohlcv', 'mark'"),
        (BARS, {"volume_unit": "lots"}, "'btc', 'quote', 'usd' or 'none'"),
        (FUNDING, {"rate_unit": "permille"}, "'fraction', 'percent' or 'bps'"),
        (INTEREST, {"oi_unit": "none"}, "oi_unit: btc, usd or contract"),
        (INTEREST, {"oi_unit": "contract"}, "expected contract_size"),
        (INTEREST, {"oi_unit": "coins"}, "'btc', 'usd', 'contract' or 'none'"),
        (FUNDING, {"rate_hours": None}, "funding needs rate_hours"),
        (FUNDING, {"columns": {"rate_hours": "h"}}, "funding needs rate_hours"),
        (FUNDING, {"spacing_hours": 8, "columns": {"spacing_hours": "h"}}, "given twice"),
        (FUNDING, {"columns": {"price": "p"}}, "funding has no column 'price'"),
        (BARS, {"scale": {"rate": 2.0}}, "ohlcv has no column 'rate'"),
        (BARS, {"rate_unit": "bps"}, "rate_unit is for funding and premium_index, not for ohlcv"),
        (BARS, {"from": "2024-02-01", "until": "2024-01-01"}, "is not before"),
        (BARS, {"from": "soon"}, "is not a day"),
        (BARS, {"lag": "5 parsecs"}, "is not a duration"),
        (BARS, {"file": "/etc/bars.csv"}, "leaves the imported folder"),
        (BARS, {"file": "../bars.csv"}, "leaves the imported folder"),
        (BARS, {"file": "bars.xlsx"}, "ends in .csv, .csv.gz or .parquet"),
        (BARS, {"time": {"unit": "ms", "zone": "Asia/Tokyo"}}, "remove zone"),
        (BARS, {"clumns": {}}, "clumns"),
        (BARS, {"drop": [{"column": "x", "when": "flagged"}]}, "reason"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(entry: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        spec(entry | changes)
    assert said in str(caught.value)


def test_a_series_has_one_entry_and_an_instrument_one_set_of_facts() -> None:
    with pytest.raises(ValidationError, match="made by 2 entries"):
        spec(BARS, BARS | {"file": "again.csv"})
    other = INTEREST | {"file": "b.csv", "oi_unit": "btc", "timeframe": "1h"}
    with pytest.raises(ValidationError, match=r"coinglass:BTC has other facts in b\.csv than in oi\.csv"):
        spec(INTEREST, other)


def test_a_spec_is_read_from_yaml_and_its_faults_have_a_line(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    lines = ["files:", "  - file: bars.csv", *(f"    {key}: {value}" for key, value in BARS.items() if key != "file")]
    path.write_text("\n".join([*lines, "    from: 2024-01-02", "    known_after: 5m", "    columns: {close: last}"]))
    (one,) = load_spec(path).files
    assert (one.columns, str(one.start), one.known_after.seconds) == ({"close": "last"}, "2024-01-02", 300)
    path.write_text("\n".join(lines).replace("stamp: bar_open", "stamp: bar_opn"))
    with pytest.raises(ConfigError, match=rf"spec\.yaml:{len(lines)}:") as caught:
        load_spec(path)
    assert caught.value.exit_code == 78


def test_the_catalog_spec_is_whole_and_names_no_place() -> None:
    path = Path(__file__).resolve().parents[1] / "configs" / "import" / "catalog.yaml"
    found = load_spec(path)
    assert len(found.files) == 24
    assert not any("/" in one.file or "*" in one.file for one in found.files)
    assert all(one.source for one in found.files)
    assert {one.instrument.role for one in found.files if one.venue in {"coinglass", "cryptoquant"}} == {"aggregate"}
