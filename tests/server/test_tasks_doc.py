"""The figures of docs/TASKS.md are those that the planner gives."""

from pathlib import Path

import pytest

from edge.artifact import Artifact
from firmware_sim.planner import plan_memory
from server.models import MODELS, model
from server.presets import ADAPTATION
from server.simulate import new_model
from server.tasks import TASKS, get_task
from server.tasks.data import DownloadFailed

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "TASKS.md").read_text()
ROWS = {
    cells[1].strip().strip("`"): [cell.strip() for cell in cells[3:7]]
    for cells in (line.split("|") for line in PAGE.splitlines())
    if len(cells) == 8 and "`" in cells[1]
}
ADAPTED = {
    cells[1].strip().strip("`"): [cell.strip() for cell in cells[2:5]]
    for cells in (line.split("|") for line in PAGE.splitlines())
    if len(cells) == 6 and "`" in cells[1] and cells[2].strip().isdigit()
}
LAYERS = {"characters": 1, "digits": 2, "keywords": 1}


def figures(artifact: Artifact, layers: int) -> list[str]:
    plan = plan_memory(artifact, "nano33ble", train_layers=layers)
    assert plan.learns
    learnt = artifact.tail_spec.trained(layers)
    return [f"{value:,}" for value in (learnt, plan.ram_train, plan.file, plan.macs)]


@pytest.mark.parametrize("name", TASKS)
def test_the_figures_of_a_task_are_true(name) -> None:
    try:
        task = get_task(name)
    except DownloadFailed as missing:
        pytest.skip(str(missing))
    if name == "characters" and "Omniglot" not in task.description:
        pytest.skip("no Omniglot here")
    assert ROWS[name] == figures(new_model(task), 0)


@pytest.mark.parametrize("name", LAYERS)
def test_the_figures_of_a_shipped_model_are_true(name) -> None:
    assert name in MODELS
    assert ROWS[f"{name}.tflite"] == figures(Artifact(model(name)), LAYERS[name])
    assert len(model(name)) <= 200_000


@pytest.mark.parametrize("name", TASKS)
def test_the_usual_adaptation_is_the_one_in_use(name) -> None:
    usual = ADAPTATION[name]
    assert ADAPTED[name] == [str(usual[key]) for key in ("shots", "epochs", "rate")]
