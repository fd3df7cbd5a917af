"""MLflow: a run of the experiment `tinyfleet` at a tracking server, in a database or a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.errors import MissingExtra, TinyfleetError

__all__ = ["MlflowTracker"]

EXPERIMENT = "tinyfleet"


class MlflowTracker:
    """See `Tracker`. Its own client, so that nothing global of MLflow is touched.

    Args:
        uri: a tracking URI, such as http://HOST:5000 or sqlite:///runs.db.
        run: its name.

    Raises:
        MissingExtra: mlflow is not installed.
        TinyfleetError: there is nothing at the URI.
    """

    def __init__(self, uri: str, run: str) -> None:
        try:
            from mlflow.entities import Metric, Param
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise MissingExtra(
                "mlflow is not installed.", hint="pip install tinyfleet[mlflow]"
            ) from error
        self._metric, self._param = Metric, Param
        try:
            self._client = MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(EXPERIMENT)
            kept = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)
            self._run = self._client.create_run(kept, run_name=run).info.run_id
        except (MlflowException, OSError, ImportError) as error:
            first = str(error).split("\n")[0]
            raise TinyfleetError(
                f"MLflow at {uri}: {first}",
                hint="--log mlflow:http://HOST:5000; sqlite:/// needs all of mlflow",
            ) from error

    def params(self, values: Mapping[str, Any]) -> None:
        """See `Tracker`."""
        entries = [self._param(name, str(value)) for name, value in values.items()]
        self._client.log_batch(self._run, params=entries)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""
        import time

        now = int(time.time() * 1000)
        entries = [self._metric(name, float(v), now, step) for name, v in values.items()]
        self._client.log_batch(self._run, metrics=entries)

    def artefact(self, path: Path) -> None:
        """See `Tracker`."""
        self._client.log_artifact(self._run, str(path))

    def close(self) -> None:
        """See `Tracker`."""
        self._client.set_terminated(self._run)
