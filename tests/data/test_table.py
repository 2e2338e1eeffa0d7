"""Tables: what columns are taken for, categories and back, and what is refused in one line."""

import gzip
import lzma
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from discrete_gan.data.table import TableData, load_table, make_table, read_any
from discrete_gan.data.table_bins import Bins, decode_numbers, encode_numbers, fit_bins
from discrete_gan.data.table_codec import as_csv, decode, encode, write_table
from discrete_gan.data.table_files import of_frame, read_table
from discrete_gan.data.table_infer import infer_schema
from discrete_gan.data.table_schema import Column, Schema, TableReading
from discrete_gan.errors import InputError

pandas = pytest.importorskip("pandas", reason="needs pandas")

PEOPLE = ["id;name;age;pay;zip;born;when;at;ok;planet;rank"]
RANDOM = np.random.default_rng(0)
for index in range(300):
    PEOPLE.append(
        f"{index};person {index};{['', RANDOM.integers(17, 90)][index % 7 > 0]};{RANDOM.normal(1000, 100):.2f};"
        f"0{RANDOM.integers(1000, 1010)};{RANDOM.integers(1950, 2000)}-0{RANDOM.integers(1, 10)}-11;"
        f"1{RANDOM.integers(0, 10)}:{RANDOM.integers(10, 60)};2024-02-29T0{index % 8}:00:{RANDOM.integers(10, 60)};"
        f"{['yes', 'no', 'NA'][index % 3]};Earth;"
        f"{'low' if index % 3 else 'high'}"
    )


def write(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def refusal(spec: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load_table(spec, reading=TableReading(**options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def people(path: Path, **options: Any) -> TableData:
    return load_table(write(path / "people.csv", "\n".join(PEOPLE)), reading=TableReading(**options))


def test_columns_are_taken_for_what_they_are(tmp_path: Path) -> None:
    schema = people(tmp_path).schema
    assert {column.name: column.kind for column in schema.columns} == {
        "id": "identifier",
        "name": "identifier",
        "age": "integer",
        "pay": "real",
        "zip": "categorical",
        "born": "datetime",
        "when": "datetime",
        "at": "datetime",
        "ok": "boolean",
        "planet": "constant",
        "rank": "categorical",
    }
    found = {column.name: column for column in schema.columns}
    assert (found["age"].missing, found["ok"].missing, found["pay"].missing) == ("", "NA", None)
    assert (found["pay"].decimals, found["born"].format, found["when"].format) == (2, "%Y-%m-%d", "%H:%M")
    assert found["rank"].values == ("low", "high") and all(str(value).startswith("0") for value in found["zip"].values)
    assert schema.separator == ";" and schema.sizes == [column.size for column in schema.learnt]


def test_categories_become_rows_that_are_read_as_the_same_categories(tmp_path: Path) -> None:
    """Through a file in the form of the data; single values, bins, missing values, dates and constants among them."""
    data = people(tmp_path)
    sizes = torch.tensor(data.schema.sizes)
    indices = (torch.rand(2000, len(sizes), generator=torch.Generator().manual_seed(0)) * sizes).long()
    path = write(tmp_path / "samples.csv", as_csv(decode(indices, data.schema), data.schema))
    again = read_table(path)[0]
    assert list(again.frame.columns) == [name for name in PEOPLE[0].split(";") if name not in ("id", "name")]
    assert (again.frame["planet"] == "Earth").all()
    assert torch.equal(encode(again, data.schema), indices)
    header, row = Path(path).read_text().splitlines()[:2]
    assert header == "age;pay;zip;born;when;at;ok;planet;rank"
    assert len(row.split(";")) == 9


def test_decoded_frames_have_the_types_of_the_values(tmp_path: Path) -> None:
    data = people(tmp_path)
    frame = data.frame(data.train)
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds["age"] == "Int64" and kinds["pay"] == "float64" and kinds["born"].startswith("datetime64")
    assert frame.equals(data.frame(data.train)) and not frame.equals(data.frame(data.train.flip(0)).iloc[::-1])
    assert len(data.train) == 240 and len(data.held_out) == 60
    shares = frame["age"].isna().mean(), (data.train[:, 0] == data.schema.sizes[0] - 1).double().mean().item()
    assert shares[0] == shares[1] > 0.1


@pytest.mark.parametrize("step", [0.0, 1.0, 0.01])
def test_numbers_of_bins_have_the_law_of_the_data(step: float) -> None:
    """Each draw lies in its bin, at no point, and the whole is distributed as the data are."""
    random = np.random.default_rng(1)
    data = (50 if step == 1 else 3) * random.random(4000) ** 2
    data[random.random(4000) < 0.3] = 0
    data = data if step == 0 else (data / step).round() * step
    decimals = {0.0: None, 1.0: 0, 0.01: 2}[step]
    data = data if decimals is None else data.round(decimals)
    bins = fit_bins(data, 5, step)
    assert bins.points == (0,) and 4 <= len(bins.knots) <= 5
    categories = encode_numbers(data, bins)
    for index, knots in enumerate(bins.knots):
        assert min(data[categories == len(bins.points) + index]) == knots[0]
        assert max(data[categories == len(bins.points) + index]) == knots[-1]
    drawn = decode_numbers(categories, bins, decimals, random)
    assert (encode_numbers(drawn, bins) == categories).all()
    assert (drawn[categories < len(bins.points)] == data[categories < len(bins.points)]).all()
    grid = np.unique(data)
    gap = np.abs(np.searchsorted(np.sort(data), grid, "right") - np.searchsorted(np.sort(drawn), grid, "right"))
    assert gap.max() / len(data) < 0.015
    if not step:  # else the grid is all there is
        assert np.isin(drawn[categories >= len(bins.points)], data).mean() < 0.05


def test_a_bin_around_a_single_value_never_draws_it() -> None:
    data = np.concatenate([np.arange(21).repeat(50), np.full(1000, 10)]).astype(float)
    bins = fit_bins(data, 3, 1)
    assert bins.points == (10,) and [(knots[0], knots[-1]) for knots in bins.knots] == [(0, 6), (7, 13), (14, 20)]
    drawn = decode_numbers(np.full(6000, 2), bins, 0, np.random.default_rng(0))
    counts = np.unique(drawn, return_counts=True)
    assert counts[0].tolist() == [7, 8, 9, 11, 12, 13]
    assert abs(counts[1] / 6000 - 1 / 6).max() < 0.04
    assert encode_numbers(np.array([6.4, 6.6, 13.4, 13.6, -9, 99]), bins).tolist() == [1, 2, 2, 3, 1, 3]


def test_integers_of_a_bin_keep_their_shares() -> None:
    data = np.concatenate([np.full(75, 20.0), np.full(25, 21), np.arange(100, 200)])
    bins = fit_bins(data, 2, 1)
    assert bins.points == () and bins.knots[0][:1] + bins.knots[0][-1:] == (20, 21)
    drawn = decode_numbers(np.zeros(6000, dtype=int), bins, 0, np.random.default_rng(0))
    assert abs((drawn == 20).mean() - 0.75) < 5 * (0.75 * 0.25 / 6000) ** 0.5


def test_few_different_numbers_are_all_kept() -> None:
    bins = fit_bins(np.array([3.0, 1, 1, 2, 5] * 4), 60, 1)
    assert bins == Bins((1, 2, 3, 5), ())
    assert encode_numbers(np.array([1.0, 2, 3, 5, 4.4, 0, 9]), bins).tolist() == [0, 1, 2, 3, 3, 0, 3]
    assert len(fit_bins(np.arange(90.0), 60, 1).knots) == 9


@pytest.mark.parametrize(("separator", "suffix"), [(",", ".csv"), ("|", ".csv"), ("\t", ".tsv"), (";", ".csv.gz")])
def test_separators_quotes_and_compressed_files(separator: str, suffix: str, tmp_path: Path) -> None:
    rows = [["a b", "c"], ['"x, ""y"";|\t"', "1.50"], ["plain", "2.25"], ["plain", "3.00"]]
    content = ("\ufeff" + "\r\n".join(map(separator.join, rows)) + "\r\n\r\n").encode()
    content = gzip.compress(content) if suffix.endswith("gz") else content
    table = read_table(write(tmp_path / f"a{suffix}", content))[0]
    assert table.frame["a b"].tolist() == ['x, "y";|\t', "plain", "plain"] and table.name == "a"
    schema = infer_schema(table, TableReading())
    assert schema.separator == separator and schema.columns[1].padded
    lines = as_csv(decode(encode(table, schema), schema), schema).splitlines()
    assert lines[1] == (rows[1][0] + separator + "1.50" if separator != ";" else '"x, ""y"";|\t";1.50')
    assert lines[3] == f"plain{separator}3.00"


def test_a_table_of_bits_without_names(tmp_path: Path) -> None:
    spec = write(tmp_path / "bits.csv.xz", lzma.compress(b"0,1,0\n1,1,1\n0,0,1\n"))
    data = load_table(spec)
    assert [column.kind for column in data.schema.columns] == ["boolean"] * 3 and data.schema.sizes == [2, 2, 2]
    rows = torch.cat([data.held_out, data.train])
    assert sorted(map(tuple, rows.tolist())) == [(0, 0, 1), (0, 1, 0), (1, 1, 1)]
    assert sorted(as_csv(data.frame(rows), data.schema).split()) == ["0,0,1", "0,1,0", "1,1,1"]


def test_decimals_as_in_the_data(tmp_path: Path) -> None:
    rows = [("1.50", "1.5", "1", "1e-3"), ("2.25", "2.25", "2.125", "5.0"), ("-0.00", "-0.001", "7", "3.3333")]
    data = load_table(write(tmp_path / "a.csv", "a,b,c,d\n" + "\n".join(map(",".join, rows * 10))))
    assert [(each.decimals, each.padded) for each in data.schema.columns] == [
        (2, True),
        (3, False),
        (3, False),
        (None, False),
    ]
    text = as_csv(data.frame(torch.cat([data.train, data.held_out])), data.schema)
    assert sorted(set(text.splitlines()[1:])) == ["-0.00,-0.001,7,3.3333", "1.50,1.5,1,0.001", "2.25,2.25,2.125,5"]


def test_a_sheet_of_excel_is_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openpyxl", reason="needs openpyxl")
    frame = pandas.DataFrame(
        {
            "n": np.arange(60) % 7,
            "x": np.where(np.arange(60) % 5 == 0, np.nan, np.arange(60) / 8),
            "day": pandas.date_range("2020-01-01", periods=60),
            "sort": ["a,b", "c"] * 30,
            "zip": ["01067", "80331", None] * 20,
        }
    )
    path = tmp_path / "a.xlsx"
    frame.to_excel(path, index=False)
    data = load_table(str(path))
    kinds = {column.name: column.kind for column in data.schema.columns}
    assert kinds == {"n": "integer", "x": "real", "day": "datetime", "sort": "categorical", "zip": "categorical"}
    both = data.frame(torch.cat([data.train, data.held_out]))
    assert sorted(both["n"]) == sorted(frame["n"]) and both["x"].isna().sum() == 12
    assert set(both["sort"]) == {"a,b", "c"} and set(both["zip"].dropna()) == {"01067", "80331"}
    assert "a.xlsx: expected an Excel workbook" in refusal(write(tmp_path / "a.xlsx", b"PK no"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/sheet.xml", bytes(100_000_000))
    assert "packed bytes unpack to 100,000,000" in refusal(str(path))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert "reading .xlsx files needs openpyxl: pip install 'discrete-gan[excel]'" in refusal(str(path))


def test_parquet_and_frames_keep_types(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs pyarrow")
    number = 40
    frame = pandas.DataFrame(
        {
            "n": [1, 5] * 20,
            "x": np.linspace(0, 1, number),
            "flag": [True, False] * 20,
            "text": ["007", "8"] * 20,
            "day": pandas.date_range("2020-01-01", periods=number),
            "gap": [1.0, np.nan, 3.0, 4.0] * 10,
            "size": pandas.Categorical(["S", "L"] * 20, categories=["S", "M", "L"], ordered=True),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    data = load_table(str(tmp_path / "a.parquet"))
    kinds = ["integer", "real", "boolean", "categorical", "datetime", "integer", "ordinal"]
    assert [column.kind for column in data.schema.columns] == kinds
    assert data.schema.columns[-1].values == ("S", "L")
    table = of_frame(frame, "a", "a")
    decoded = decode(encode(table, data.schema), data.schema)
    for name in ("n", "flag", "text"):
        assert decoded[name].tolist() == frame[name].tolist()
    assert decoded["gap"].dropna().tolist() == frame["gap"].dropna().tolist()
    assert (abs(decoded["day"] - frame["day"]) < pandas.Timedelta(days=15)).all()


def test_rare_values_are_joined_and_drawn_by_their_counts(tmp_path: Path) -> None:
    cells = ["a"] * 500 + ["b"] * 30 + ["c"] * 10 + [""]
    spec = write(tmp_path / "a.csv", "x,y\n" + "\n".join(f"{cell},{n % 2}" for n, cell in enumerate(cells)))
    column = load_table(spec, reading=TableReading(rare=100)).schema.columns[0]
    assert column.values == ("a",) and [(each.value, each.count) for each in column.rare] == [("b", 30), ("c", 10)]
    assert column.size == 3
    drawn = decode(torch.ones(4000, 1, dtype=torch.int64), Schema((column,)))["x"].value_counts(normalize=True)
    assert abs(drawn["b"] - 0.75) < 5 * (0.75 * 0.25 / 4000) ** 0.5 and set(drawn.index) == {"b", "c"}


def test_options_and_an_edited_schema_say_what_columns_are(tmp_path: Path) -> None:
    data = people(tmp_path, drop=("when",), categorical=("age",), keep=("id",))
    kinds = {column.name: column.kind for column in data.schema.columns}
    assert "when" not in kinds and kinds["age"] == "categorical" and kinds["id"] == "integer"
    file = tmp_path / "schema.json"
    data.schema.save(file)
    assert Schema.load(file) == data.schema
    again = people(tmp_path, schema=Schema.load(file))
    assert again.schema == data.schema and torch.equal(again.train, data.train)
    edited = write(file, '{"columns": [{"name": "rank", "kind": "ordinal", "values": ["low", "high"]}, '
                         '{"name": "zip", "kind": "categorical"}]}')  # fmt: skip
    data = people(tmp_path, schema=Schema.load(Path(edited)))
    assert [column.name for column in data.schema.columns] == ["rank", "zip"] and len(
        data.schema.columns[1].values
    ) == 10


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", ": the file is empty"),
        ("a,b\n", ": expected at least two rows below the header, found 0"),
        ("a,b\n1,2\n", ": expected at least two rows below the header, found 1"),
        ("a,b\n1,2\n3\n", ": line 3: expected 2 fields, as in the first, found 1"),
        ('a,b\n1,2\n"3,4\n', ": line 3 cannot be read: unexpected end of data"),
        ("a,b,a\n1,2,3\n3,4,3\n", ": line 1: expected different names, columns 1 and 3 are both named 'a'"),
        ("a,\n1,2\n3,4\n", ": line 1: expected a name for each column, column 2 has none"),
        ("a,5\n1,2\n3,4\n", ": line 1: expected names of columns in the first line, found 5"),
        ("a,b\n1,\n2,\n", ": column 'b': all 2 values are missing, expected some"),
        ("a,b\n" + "1,2\n" * 20 + "2,x\n", ": line 22, column 'b': expected a number, as in other rows, found 'x'"),
        (
            "d\n" + "2020-01-02\n" * 20 + "2020-13-01\n",
            ": line 22, column 'd': expected a date as %Y-%m-%d, as in other",
        ),
        ("a,b\n1,2\n3,inf\n", ": line 3, column 'b': expected finite numbers, found 'inf'"),
        ("a;b\n1,5;2\n3,25;3\n", ": line 2, column 'a': expected a decimal point, found '1,5'"),
        ("a,b\n1,2\n1,2\n", ": expected columns to learn, found only constants and identifiers"),
        (b"a,b\n1,x\n2,\xe9\n", ": line 3 is not UTF-8"),
        ("a,b\n1,x\n2,y\n".encode("utf-16"), ": this is UTF-16, expected UTF-8"),
    ],
)
def test_mistakes_in_a_file_name_row_and_column(content: str | bytes, told: str, tmp_path: Path) -> None:
    spec = write(tmp_path / "bad.csv", content)
    assert refusal(spec).startswith(spec + told)


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("{", "expected a schema: "),
        ('{"columns": [{"name": "a", "kind": "colour"}]}', "expected a schema: Invalid enum value 'colour' - at"),
        (
            '{"columns": [{"name": "a", "kind": "real", "values": [1]}]}',
            "column 'a': values: expected with categorical",
        ),
        ('{"columns": [{"name": "a", "kind": "real", "bins": [[1, 0]]}]}', "column 'a': bins: expected at least two"),
        (
            '{"columns": [{"name": "a", "kind": "real"}, {"name": "a", "kind": "real"}]}',
            "column 'a' stands there twice",
        ),
        ('{"columns": [{"name": "aa", "kind": "real"}]}', "the schema: no column 'aa': did you mean 'a'? expected one"),
        ('{"columns": [{"name": "b", "kind": "integer"}]}', "line 2, column 'b': expected a finite number, found 'x'"),
        ('{"columns": [{"name": "b", "kind": "datetime"}]}', "column 'b': expected the format of its dates"),
        ('{"columns": [{"name": "a", "kind": "integer"}]}', "line 2, column 'a': expected an integer, found '1.5'"),
        ('{"columns": [{"name": "b", "kind": "constant"}]}', "line 3, column 'b': expected 'x' in all rows"),
        (
            '{"columns": [{"name": "b", "kind": "categorical", "values": ["x"]}]}',
            "line 3, column 'b': expected one of the 1 values of the schema, found 'y'",
        ),
    ],
)
def test_schemas_that_do_not_fit(schema: str, told: str, tmp_path: Path) -> None:
    spec, file = write(tmp_path / "a.csv", "a,b\n1.5,x\n2.5,y\n"), Path(write(tmp_path / "schema.json", schema))
    with pytest.raises(InputError) as caught:
        load_table(spec, reading=TableReading(schema=Schema.load(file)))
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_value_where_none_was(tmp_path: Path) -> None:
    schema = Schema((Column("a", "integer", points=(1, 2)),))
    table = read_table(write(tmp_path / "a.csv", "a,b\n1,2\n,3\n"))[0]
    with pytest.raises(InputError, match=r"line 3, column 'a': expected a value, as the schema has none missing"):
        encode(table, schema)
    assert encode(table, infer_schema(table, TableReading()))[:, 0].tolist() == [0, 1]


def test_frames_of_mixed_types_are_refused() -> None:
    frame = pandas.DataFrame({"a": [1, 2, "x"], "b": [1, 2, 3]}, dtype=object)
    with pytest.raises(InputError, match="row 2, column 'a': expected int, as in other rows, found str 'x'"):
        make_table(of_frame(frame, "frame", "frame"))


def test_what_is_not_there(tmp_path: Path) -> None:
    spec = write(tmp_path / "table.csv", "a,b\n1,2\n2,3\n")
    assert f"did you mean {spec!r}?" in refusal(str(tmp_path / "tabel.csv"))
    assert "table.ods: expected a .csv or .tsv file" in refusal("table.ods")
    assert "no table at 'table.xlsx': " in refusal("table.xlsx")
    assert "drop: no column 'c': expected one of a, b" in refusal(spec, drop=("c",))
    (tmp_path / "folder.csv").mkdir()
    assert "this is a folder" in refusal(str(tmp_path / "folder.csv"))
    assert "cannot be read" in refusal(write(tmp_path / "a.parquet", b"PAR1 no"))


def test_a_table_is_held_to_the_limit_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write(tmp_path / "a.csv", "a,b\n" + "1,2\n2,2\n" * 50)
    pandas.DataFrame({"a": [1, 2] * 500}).to_parquet(tmp_path / "a.parquet")
    monkeypatch.setenv("DISCRETE_GAN_MAX_BYTES", "300")
    assert "expected at most 300 bytes, found 404" in refusal(spec)
    assert "expected at most 300 bytes, found 8,000" in refusal(str(tmp_path / "a.parquet"))


def test_held_out_rows_are_drawn_or_another_file(tmp_path: Path) -> None:
    spec = write(tmp_path / "a.csv", "a,b\n" + "\n".join(f"{n % 5},{n % 3}" for n in range(50)))
    other = write(tmp_path / "b.csv", "b,a\n7,1\n1,2\n")
    data = load_table(spec, held_out=other)
    assert len(data.train) == 50 and data.held_out.tolist() == [[1, 3], [2, 1]]
    assert load_table(spec, seed=1).fingerprint() != load_table(spec, seed=0).fingerprint()
    with pytest.raises(InputError, match=r"c.csv: expected a column 'a', as in .*a.csv"):
        load_table(spec, held_out=write(tmp_path / "c.csv", "b,c\n1,2\n2,3\n"))


@pytest.mark.parametrize("name", ["wine", "breast_cancer"])
def test_embedded_tables(name: str) -> None:
    data = load_table(name)
    table, _ = read_any(name)
    assert len(data.train) + len(data.held_out) == len(table.frame)
    assert data.schema.columns[-1].name == "class" and len(data.schema.columns[-1].values) in (2, 3)


def test_a_schema_whose_bins_do_not_reach_over_the_data_is_refused(tmp_path: Path) -> None:
    """A few values beyond go into the nearest bin, as in rows that come later."""
    schema = Schema((Column("n", "integer", bins=((1, 2), (3, 4))), Column("sort", "categorical")))
    lines = [f"{1 + row % 4},{'ab'[row % 2]}" for row in range(200)]
    path = tmp_path / "a.csv"
    few = write(path, "\n".join(["n,sort", "9,a", *lines[1:]]))
    assert load_table(few, reading=TableReading(schema=schema)).schema.sizes == [2, 2]
    many = write(path, "\n".join(["n,sort", *lines[:5], *["9,a"] * 195]))
    told = (
        "line 7, column 'n': expected values from 1 to 4, as the schema's points and bins have, found '9', and in 194"
    )
    assert told in refusal(many, schema=schema)


def test_times_of_day_are_text_in_parquet(tmp_path: Path) -> None:
    lines = [f"{6 + row % 9:02}:30,{'ab'[row % 2]},2020-01-{1 + row % 28:02}" for row in range(60)]
    data = load_table(write(tmp_path / "a.csv", "\n".join(["at,sort,day", *lines])))
    rows = pandas.read_parquet(write_table(tmp_path / "b.parquet", [data.frame(data.train[:20])], data.schema))
    assert set(rows["at"]) <= {f"{hour:02}:30" for hour in range(6, 15)} and rows["day"].dtype.kind == "M"
