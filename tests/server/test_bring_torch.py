"""Torch modules of others become hybrids that a device learns on."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.artifact import Artifact
from edge.errors import ArtifactError, ExitCode, MissingExtra, UsageError
from edge.fronted import learner_of
from edge.runtime import load
from server.bring.hybrid import hybrid
from server.bring.tail import Tail
from server.bring.torch_module import module_onnx
from server.cli.app import main

torch = pytest.importorskip("torch")

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4, 5)

    def features(self, x):
        x = torch.relu(self.one(x))
        return (x + torch.relu(self.norm(self.two(x)))).mean((2, 3))

    def forward(self, x):
        return torch.softmax(self.head(self.features(x)), 1)

def net():
    torch.manual_seed(3)
    return Net()

def wrong():
    return 5

def broken():
    raise RuntimeError("no weights here")

class Odd(nn.Module):
    def forward(self, x):
        raise ValueError("cannot be traced")

number = 3
"""


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "net.py"
    path.write_text(MODULE)
    return str(path)


def test_a_module_keeps_its_features(source: str) -> None:
    data = module_onnx(f"{source}:net", (1, 1, 8, 8))
    assert data == module_onnx(f"{source}:net", (1, 1, 8, 8))
    made = hybrid(data, Tail(2, seed=1))
    assert made.feature.shape == (1, 4) and made.feature.replaced == "Gemm"
    x = np.random.default_rng(0).normal(size=(6, 64)).astype(np.float32)
    space: dict[str, object] = {}
    exec(compile(MODULE, source, "exec"), space)
    net = space["net"]().eval()  # type: ignore[operator]
    with torch.no_grad():
        images = torch.from_numpy(x.reshape(6, 1, 8, 8))
        features, answers = net.features(images).numpy(), net(images).numpy()
    front = load(Artifact(made.data).front)
    np.testing.assert_allclose(front.run(x), features, atol=1e-5)
    np.testing.assert_allclose(load(data).run(x), answers, atol=1e-5)
    learner = learner_of(made.data)
    np.testing.assert_allclose(learner.predict_many(x), load(made.data).run(x), atol=2e-6)
    before = learner.loss_one(x[0], [1])
    for _ in range(20):
        learner.learn_one(x[0], [1], rate=0.1)
    assert learner.loss_one(x[0], [1]) < 0.5 * before


def test_the_command_takes_a_module(
    source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["server", "import", f"{source}:net", "--input-shape", "1,1,8,8", "--classes", "2"]
    assert main([*line, "--out", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["hybrid"]["file"]) == tmp_path / "net-hybrid.onnx"
    assert told["model"]["operators"].count("Conv") == 1 and told["hybrid"]["tail"] == [4, 2]
    assert main([*line[:3], "--classes", "2"]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "--input-shape is missing" in said and "such as 1,8 or 1,3,32,32" in said


@pytest.mark.parametrize(
    ("function", "kind", "said"),
    [
        ("none", UsageError, "has no function 'none'"),
        ("number", UsageError, "has no function 'number'"),
        ("wrong", UsageError, "gave int, a torch.nn.Module"),
        ("broken", UsageError, "RuntimeError: no weights here"),
        ("Odd", ArtifactError, "cannot be traced"),
    ],
)
def test_what_gives_no_module_is_refused(
    source: str, function: str, kind: type[Exception], said: str
) -> None:
    with pytest.raises(kind, match=said):
        module_onnx(f"{source}:{function}", (1, 1, 8, 8))


def test_other_inputs_are_refused(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no file"):
        module_onnx("nowhere.py:net", (1, 4))
    with pytest.raises(ArtifactError, match="cannot export"):
        module_onnx(f"{source}:net", (1, 2, 8, 8))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match="torch is not installed") as caught:
        module_onnx(f"{source}:net", (1, 1, 8, 8))
    assert caught.value.hint == "pip install 'tinyfleet[meta,server]'"


BESIDE = """
from __future__ import annotations
from dataclasses import dataclass
from torch import nn
from blocks import WIDTH

print("reading")

@dataclass
class Settings:
    width: int = WIDTH

class Net(nn.Module):
    def __init__(self, settings):
        super().__init__()
        self.one, self.two = nn.Linear(6, settings.width), nn.Linear(settings.width, 3)

    def forward(self, x):
        from later import applied
        print("tracing")
        return self.two(applied(self.one(x)))

def net():
    return Net(Settings())

def leaves():
    raise SystemExit(0)
"""


def test_a_file_runs_as_python_would_run_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(BESIDE)
    (tmp_path / "blocks.py").write_text("WIDTH = 5\n")
    (tmp_path / "later.py").write_text("from torch import relu as applied\n")
    path, known = list(sys.path), set(sys.modules)
    line = ["server", "import", f"{tmp_path}/net.py:net", "--input-shape", "1,6", "--classes", "2"]
    line += ["--out", str(tmp_path), "--describe-in", str(tmp_path / "catalog")]
    assert main([*line, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["hybrid"]["tail"] == [5, 2]
    assert "reading" in err and "tracing" in err
    assert sys.path == path and "imported_net" not in set(sys.modules) - known
    assert Artifact((tmp_path / "net-hybrid.onnx").read_bytes()).name == "net-hybrid"


@pytest.mark.parametrize("code", ["import sys\nsys.exit(0)\n", "raise SystemExit('bye')\n"])
def test_a_file_that_ends_the_program_is_refused(
    code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(code)
    line = ["server", "import", f"{tmp_path}/net.py:net", "--input-shape", "1,6"]
    assert main(line) == ExitCode.USAGE
    assert "ends the program" in capsys.readouterr().err


CHAINS = """
import torch
from torch import nn

def drawn(net):
    for part in net.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.normal_(), part.running_var.uniform_(0.5, 2)
    return net

class Image(nn.Module):
    def __init__(self):
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(8, 8, 3, stride=2, padding=(1, 0), groups=8), nn.BatchNorm2d(8), nn.ReLU6(),
            nn.AvgPool2d((2, 1), padding=(1, 0)), nn.Dropout(),
        )
        self.dense, self.norm, self.last = nn.Linear(32, 9), nn.BatchNorm1d(9), nn.Linear(9, 4)

    def forward(self, x):
        x = self.front((x - 0.5) / 0.25)
        x = torch.relu(self.norm(self.dense(x.view(x.size(0), -1))))
        return torch.softmax(self.last(x), 1)

def image():
    torch.manual_seed(1)
    return drawn(Image())

def signal():
    torch.manual_seed(2)
    return drawn(nn.Sequential(
        nn.Conv1d(3, 6, 5, padding=2), nn.ReLU(), nn.BatchNorm1d(6), nn.MaxPool1d(2),
        nn.Conv1d(6, 4, 3, dilation=2), nn.Tanh(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Linear(4, 2),
    ))

def dense():
    torch.manual_seed(3)
    return drawn(nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 6), nn.Sigmoid(), nn.Linear(6, 3)))
"""


@pytest.mark.parametrize(
    ("name", "shape", "order"),
    [
        ("image", (3, 8, 10), (1, 2, 0)),
        ("signal", (3, 32), (1, 0)),
        ("dense", (8,), (0,)),
    ],
)
def test_a_chain_becomes_a_tflite_that_answers_as_torch_does(
    tmp_path: Path, name: str, shape: tuple[int, ...], order: tuple[int, ...]
) -> None:
    path = tmp_path / "chains.py"
    path.write_text(CHAINS)
    line = ["server", "import", f"{path}:{name}", "--to", "tflite", "--out", str(tmp_path)]
    assert main([*line, "--input-shape", ",".join(map(str, (1, *shape)))]) == 0
    data = (tmp_path / f"{name}.tflite").read_bytes()
    space: dict[str, object] = {}
    exec(compile(CHAINS, str(path), "exec"), space)
    x = np.random.default_rng(0).normal(size=(6, *shape)).astype(np.float32)
    with torch.no_grad():
        wanted = space[name]().eval()(torch.from_numpy(x)).numpy()  # type: ignore[operator]
    ours = x.transpose(0, *(axis + 1 for axis in order)).reshape(6, -1)
    learner = learner_of(data)
    np.testing.assert_allclose(learner.predict_many(ours), wanted, atol=2e-5)
    assert learner.sizes.parameters == Artifact(data).tail_spec.n_parameters
    np.testing.assert_allclose(load(data).run(ours), wanted, atol=2e-5)
