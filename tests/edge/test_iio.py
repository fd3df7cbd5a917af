"""Sensors of the kernel, as files that say what its drivers say."""

from pathlib import Path

import numpy as np
import pytest

from edge.errors import UsageError
from edge.faults import SourceError
from edge.iio import IioSensor
from edge.sources import open_source


def sensor_of(folder: Path, files: dict[str, str]) -> IioSensor:
    """A sensor over a device that has these files."""
    device = folder / "iio:device0"
    device.mkdir()
    for name, text in files.items():
        (device / name).write_text(text + "\n")
    return IioSensor("iio:device0", devices=folder, wait=lambda seconds: None)


@pytest.mark.parametrize(
    ("files", "x"),
    [
        (
            {"in_voltage0-voltage1_raw": "100", "in_voltage2-voltage3_raw": "-10",
             "in_voltage-voltage_scale": "0.5", "in_voltage4_raw": "10", "in_voltage_scale": "2",
             "in_voltage2-voltage3_scale": "0.1"},
            [50.0, -1.0, 20.0],
        ),
        ({"in_temp_raw": "7", "in_temp_scale": "2", "in_temp_input": "25.5"}, [25.5]),
        (
            {"in_accel_x_raw": "3", "in_accel_y_raw": "3", "in_accel_x_scale": "2",
             "in_accel_scale": "5", "in_accel_offset": "1"},
            [8.0, 20.0],
        ),
        ({"in_accel0_x_raw": "3", "in_accel_x_scale": "2", "in_accel_scale": "9"}, [6.0]),
        ({"in_concentration_co2_raw": "4", "in_concentration_co2_scale": "2"}, [8.0]),
        ({"in_magn_x_raw": "3", "in_scale": "2"}, [6.0]),
        ({"in_magn_x_raw": "3", "scale": "4", "offset": "-1"}, [8.0]),
        (
            {"in_accel_x_raw": "3", "in_accel_x_peak_raw": "9", "in_accel_x_mean_raw": "2",
             "in_accel_x_trough_raw": "1", "in_accel_peak_scale": "7"},
            [3.0],
        ),
    ],
)  # fmt: skip
def test_attributes_are_found_as_the_kernel_names_them(tmp_path, files, x) -> None:
    sensor = sensor_of(tmp_path, files)
    np.testing.assert_allclose(sensor.next_sample()[0], np.float32(x), rtol=1e-6)
    assert sensor.sample_width == len(x)


def test_a_reading_that_fails_is_passed_over(tmp_path, caplog) -> None:
    def wait(seconds: float) -> None:
        slept.append(seconds)
        path.write_text("5" if len(slept) == 3 else "busy")

    slept: list[float] = []
    sensor_of(tmp_path, {"in_temp_raw": "1"})
    path = tmp_path / "iio:device0" / "in_temp_raw"
    sensor = IioSensor("iio:device0", rate=0.001, devices=tmp_path, wait=wait)
    assert sensor.next_sample()[0].tolist() == [1]
    assert sensor.next_sample()[0].tolist() == [5]
    assert "passed over reading 2: in_temp_raw cannot be read" in caplog.text
    assert len(slept) == 3


@pytest.fixture
def devices(tmp_path):
    folder = tmp_path / "iio:device0"
    folder.mkdir()
    for name, text in {
        "name": "bmi160", "in_accel_x_raw": "100", "in_accel_y_raw": "-50", "in_accel_scale": "0.5",
        "in_temp_raw": "10", "in_temp_offset": "5", "in_temp_scale": "2",
        "in_pressure_input": "7.5",
    }.items():  # fmt: skip
        (folder / name).write_text(text + "\n")
    return tmp_path


def test_channels_of_the_kernel_are_scaled_as_its_abi_says(devices) -> None:
    slept = []
    for name in ("iio:device0", "bmi160"):
        sensor = IioSensor(name, 20.0, devices=devices, wait=slept.append)
        x, y = sensor.next_sample()
        assert x.tolist() == [50.0, -25.0, 7.5, 30.0] and np.isnan(y).all()
    sensor.next_sample()
    assert len(slept) == 1 and 0 < slept[0] <= 0.05
    (devices / "iio:device0" / "in_accel_x_raw").write_text("2\n")
    assert sensor.next_sample()[0][0] == 1
    sensor.rewind()
    assert sensor.next_sample()[0][0] == 50
    (devices / "iio:device0" / "in_temp_raw").write_text("busy")
    for _ in range(2):
        sensor.next_sample()
    with pytest.raises(SourceError, match=r"10 samples in a row.*reading 13: in_temp"):
        sensor.next_sample()


def test_a_device_that_is_not_there_names_those_that_are(devices) -> None:
    with pytest.raises(UsageError) as caught:
        IioSensor("iio:device7", devices=devices)
    assert "iio:device0 (bmi160)" in caught.value.hint
    (devices / "iio:device1").mkdir()
    with pytest.raises(UsageError, match="no channel"):
        IioSensor("iio:device1", devices=devices)
    with pytest.raises(UsageError, match="Industrial I/O"):
        open_source("iio:device99")
