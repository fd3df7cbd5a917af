"""Backbones: what torch trains is what devices run, and the shipped one knows unseen characters."""

from pathlib import Path

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.board_protocol import BoardClient
from edge.errors import UsageError
from edge.learner import OnlineLearner
from edge.practice import Practice
from edge.sources import Replay
from edge.stepping import Steps
from firmware_sim.device import SimulatedDevice
from firmware_sim.planner import plan_memory
from server.evaluate import Adaptation, adapt
from server.models import MODELS, model
from server.presets import ADAPTATION
from server.tasks import images
from server.tasks.characters import CharactersTask
from server.tasks.data import find

needs_omniglot = pytest.mark.skipif(
    find("omniglot_background.npz") is None, reason="Omniglot is not here"
)


def test_torch_and_the_device_agree() -> None:
    torch = pytest.importorskip("torch")
    from server.export import tflite
    from server.meta.backbone import Backbone
    from server.meta.prototypes import Episodes, meta_train

    rng = np.random.default_rng(0)
    drawings = [rng.random((6, 28, 28), np.float32) for _ in range(8)]
    backbone = Backbone(filters=4)
    losses: list[float] = []
    how = Episodes(steps=4, ways=4, shots=2, queries=2)
    module = meta_train(backbone, drawings, how, on_step=lambda step, loss: losses.append(loss))
    again = meta_train(backbone, drawings, how)
    assert len(losses) == 4 and np.isfinite(losses).all()
    for one, other in zip(module.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    spec = backbone.spec(3)
    parameters = backbone.parameters(module, 3)
    head = np.eye(3, spec.layers[-1].n_in, dtype=np.float32)
    parameters[-head.size - 3 :] = [*head.ravel(), 0, 0, 0]
    learner = OnlineLearner(tflite.write(spec, parameters, name="backbone"), infer_only=True)
    x = drawings[0].reshape(6, -1)
    with torch.no_grad():
        planes = module[:-1](torch.from_numpy(x).reshape(6, 1, 28, 28))
        features = planes.permute(0, 2, 3, 1).flatten(1)[:, :3]  # channels last, as devices have it
        expected = torch.softmax(features, 1).numpy()
    np.testing.assert_allclose(learner.predict_many(x), expected, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_shipped_model_is_small_and_fits_the_board(name: str) -> None:
    data = model(name)
    assert len(data) <= 200_000
    plan = plan_memory(Artifact(data), "nano33ble", train_layers=1)
    assert plan.learns
    assert plan.ram_train <= 256 * 1024


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(UsageError, match="letters"):
        model("letters")


@needs_omniglot
@pytest.mark.parametrize(("ways", "least"), [(5, 0.9), (20, 0.8)])
def test_the_shipped_backbone_knows_characters_it_never_saw(ways: int, least: float) -> None:
    task = CharactersTask(ways=ways, side=28, mixed=True)
    client, how = task.client(0, "test"), Adaptation(**ADAPTATION["characters.tflite"])
    episodes = [
        client.episode(np.random.default_rng(seed), shots=1, queries=2)
        for seed in range(120 // ways)
    ]
    assert np.mean([adapt(task, model("characters"), e, how)[1] for e in episodes]) > least


@needs_omniglot
def test_its_head_learns_the_same_bits_on_an_emulated_board() -> None:
    client = CharactersTask(ways=3, side=28, mixed=True).client(0, "test")
    episode = client.episode(np.random.default_rng(0), shots=2, queries=1)
    data = model("characters")
    practice = Practice(OnlineLearner(data, train_layers=1), classes=True, steps=Steps())
    for x, y in zip(episode.support_x, episode.support_y, strict=True):
        practice.learn(x, y, 1e-3)
    sensor = Replay(episode.support_x, episode.support_y)
    with SimulatedDevice("nano33ble", device_id="d", sensor=sensor) as device:
        board = BoardClient(device.port)
        board.upload_artifact(data)
        board.train(len(episode.support_x), rate=1e-3, train_layers=1)
        theirs = board.get_parameters()
    assert theirs.tobytes() == practice.learner.parameters.tobytes()


@needs_omniglot
def test_other_drawings_become_the_test_clients(tmp_path: Path) -> None:
    with np.load(find("omniglot_background.npz") or "") as stored:
        mine = {name: stored[name][:400] for name in ("images", "char_id", "alphabet")}
    np.savez(tmp_path / "mine.npz", **mine)
    task = CharactersTask(ways=5, side=28, data=tmp_path / "mine.npz")
    assert task.clients("test") == len(np.unique(mine["alphabet"]))
    assert len(task.drawings("test")) == 20
    mixed = CharactersTask(ways=5, side=28, mixed=True, data=tmp_path / "mine.npz")
    assert mixed.clients("test") == 1
    assert task.spec().n_in == 784


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"images": np.zeros((4, 14, 14), np.uint8)}, "images"),
        ({"images": np.zeros((4, 28, 28))}, "images"),
        ({"char_id": np.zeros(3, int)}, "char_id"),
        ({"alphabet": np.zeros(4)}, "alphabet"),
        ({"alphabet": None}, "alphabet"),
    ],
)
def test_a_file_of_another_layout_is_refused(tmp_path: Path, change: dict, named: str) -> None:
    good = {
        "images": np.zeros((4, 28, 28), np.uint8),
        "char_id": np.zeros(4, int),
        "alphabet": np.zeros(4, int),
    }
    arrays = {k: v for k, v in (good | change).items() if v is not None}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UsageError, match=named):
        images.read(tmp_path / "bad.npz")
    (tmp_path / "bad.npz").write_bytes(b"no archive")
    with pytest.raises(UsageError, match="holds no drawings"):
        images.read(tmp_path / "bad.npz")


def test_a_side_that_is_no_share_of_28_is_refused() -> None:
    with pytest.raises(UsageError, match="side is 20"):
        CharactersTask(side=20)
