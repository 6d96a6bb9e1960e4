"""Files of prices, and frames of other libraries, as pandas frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpuquant import disk
from gpuquant.data.arrow import read_frame
from gpuquant.data.cells import with_points
from gpuquant.data.choices import loose
from gpuquant.errors import DataError, InputError

if TYPE_CHECKING:
    import pandas as pd

TICKERS = ("ticker", "symbol", "asset", "instrument", "tic", "security", "name")
MISSING = (
    "",
    "nan",
    "NaN",
    "NAN",
    "null",
    "NULL",
    "None",
    "N/A",
    "#N/A",
    "n/a",
    "-",
)  # in a file; NA may be a ticker


SUFFIXES = (".parquet", ".csv", ".gz")


def read_file(path: Path) -> pd.DataFrame:
    """The table in a Parquet or CSV file, whatever separates its columns."""
    import pandas as pd

    disk.present(path, "price file")
    if path.suffix not in SUFFIXES:
        raise DataError(f"price file {path}: must end in .parquet, .csv or .csv.gz")
    try:
        if path.suffix == ".parquet":
            return read_frame(path)
        top = [
            str(line)
            for line in pd.read_csv(
                path, nrows=2, header=None, sep="\0", engine="python", dtype=str
            )[0]
        ]
        separator = max((",", ";", "\t", "|"), key=top[0].count)
        head = top[0].split(separator)
        if (
            len(top) > 1
            and loose(head[0]) == "price"
            and loose(top[1].split(separator)[0]) in TICKERS
        ):  # two levels, as a download tool writes them
            return pd.read_csv(path, sep=separator, header=[0, 1], index_col=0)
        names: Any = {
            name.strip('"'): str for name in head if loose(name) in TICKERS
        }  # tickers stay text: 005930 keeps its zeros, and NA is not a missing value
        european = separator == ";"
        frame = pd.read_csv(
            path,
            sep=separator,
            dtype=str if european else names,
            keep_default_na=False,
            na_values=MISSING,
        ).dropna(how="all")
        return with_points(frame) if european else frame
    except (
        ValueError,
        OSError,
        IndexError,
    ) as failure:  # pandas' and Arrow's parsing errors are ValueErrors
        raise DataError(
            f"price file {path} cannot be read: {str(failure).splitlines()[0]}"
        ) from failure


def as_pandas(data: Any) -> Any:
    """A pandas frame or series of what a caller has."""
    import pandas as pd

    if isinstance(data, pd.DataFrame | pd.Series):
        return data
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__dataframe__"):
        import pyarrow as pa

        try:
            return pa.table(data).to_pandas()
        except (pa.ArrowException, TypeError) as failure:
            raise DataError(
                f"prices = {type(data).__name__}: must be a table with a column of dates: {failure}"
            ) from failure
    if isinstance(data, np.ndarray):
        raise InputError(
            "prices = array: has no dates; give pandas.DataFrame(array, index=dates, "
            "columns=assets)"
        )
    raise InputError(
        f"prices = {type(data).__name__}: must be a Panel, a frame, a series, a mapping "
        "of frames, Arrow data or the path of a file"
    )
