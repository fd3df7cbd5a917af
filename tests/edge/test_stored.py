"""Samples in files: tables and NumPy archives, whole and damaged."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import UsageError
from edge.sources import open_source, read_table


@pytest.mark.parametrize(
    ("text", "x", "y"),
    [
        ("1,2,0\n3,4,1\n", [[1, 2], [3, 4]], [[0], [1]]),
        ("y,a,b\n0,1,2\n1,3,4\n", [[1, 2], [3, 4]], [[0], [1]]),
        ("a,y0,y1\r\n5,1,2\r\n\r\n", [[5]], [[1, 2]]),
        ("\ufeffa,b\n1,2\n", [[1]], [[2]]),
        ("y1,x,y0\n1,2,3\n", [[2]], [[3, 1]]),
        ("y10,y9,x\n1,2,3\n", [[3]], [[2, 1]]),
        ("a,y\n5,nan\n5,1\n", [[5], [5]], [[np.nan], [1]]),
    ],
)
def test_a_table_is_read_by_its_names_or_by_place(tmp_path, text, x, y) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    found = read_table(path)
    assert found.x.tolist() == x
    np.testing.assert_array_equal(found.y, y)
    assert open_source(str(path)).next_sample()[0].tolist() == x[0]


@pytest.mark.parametrize(
    "text", ["", "a,b\n", "1\n2\n", "1,2\n3\n", "a,b\n1,x\n", "a,b,c\n1,2\n", "y0,y1\n1,2\n"]
)
def test_what_is_no_table_is_refused(tmp_path, text) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_table(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n\n1,zz\n", "line 4: 'zz' is no number"),
        ("1,2,3\n4,5\n", "line 2: 2 values, the lines before have 3"),
        ("1,2\n\x00\xff", "no text with commas|line 2"),
        ("a,y\n\n1,0\nnan,1\n", r"line 4: x\[0\] is nan"),
        ("1,2,0\n1,1e400,1\n", r"line 2: x\[1\] is inf"),
        ("a,y0,y1\n1,2,inf\n", r"line 2: y\[1\] is inf"),
        ("a,y0,y1\n1,2,nan\n", r"line 2: some values of y are unknown"),
    ],
)
def test_the_line_of_a_table_that_is_wrong_is_named(tmp_path, text, said) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=said) as caught:
        read_table(path)
    assert "t.csv" in caught.value.message and "shape" not in caught.value.message


def stored(folder: Path, **arrays: object) -> Path:
    np.savez_compressed(folder / "s.npz", **arrays)
    return folder / "s.npz"


def test_stored_images_are_flattened(tmp_path) -> None:
    x = np.arange(24, dtype=np.uint8).reshape(2, 2, 3, 2)
    source = open_source(str(stored(tmp_path, x=x, y=[0, 1])))
    assert source.next_sample()[0].tolist() == list(range(12))
    assert source.next_sample()[0].tolist() == list(range(12, 24))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": [[1, 2], [3, np.nan]], "y": [0, 1]}, r"sample 2: x\[1\] is nan"),
        ({"x": [[1e39]], "y": [0]}, r"sample 1: x\[0\] is inf"),
        ({"x": [[1]], "y": [[1, np.nan]]}, "sample 1: some values of y are unknown"),
        ({"x": [[1]], "y": [0, 1]}, "samples need x of shape"),
        ({"x": [1, 2], "y": 0}, "samples need x of shape"),
        ({"x": [["1"]], "y": [0]}, "not arrays of numbers"),
        ({"x": [[1j]], "y": [0]}, "not arrays of numbers"),
    ],
)
def test_stored_samples_that_no_model_can_learn_are_refused(tmp_path, arrays, said) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        open_source(str(stored(tmp_path, **arrays)))
    assert "s.npz" in caught.value.message


def test_stored_samples_without_a_label_are_taken(tmp_path) -> None:
    source = open_source(str(stored(tmp_path, x=[[1], [2]], y=[[np.nan, np.nan], [0, 1]])))
    assert np.isnan(source.next_sample()[1]).all()


@given(st.data())
def test_a_damaged_archive_is_refused_or_read(tmp_path_factory, data) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = stored(folder, x=np.arange(60.0).reshape(20, 3), y=np.arange(20))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])
    try:
        assert np.isfinite(open_source(str(path)).next_sample()[0]).all()
    except UsageError as error:
        assert str(path) in error.message


@pytest.mark.parametrize(("at", "value"), [(10, 99), (8, 1)])
def test_other_packings_and_encryption_are_refused(tmp_path, at, value) -> None:
    """Method and flags of the first entry of the directory."""
    path = stored(tmp_path, x=np.ones((2, 3)), y=[0, 1])
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")
    content[start + at] = value
    path.write_bytes(content)
    with pytest.raises(UsageError):
        open_source(str(path))
