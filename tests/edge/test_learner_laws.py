"""Laws that hold for every learner there is, over any small model."""

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import TinyfleetError, UsageError
from edge.learner import LearnerError, NativeLearner, NonFinite, ReferenceLearner
from edge.learner.native import library
from edge.spec import ModelSpec
from server.export import tflite
from tests.edge.zoo import model, parameters, samples, specs

LEARNERS = [NativeLearner, ReferenceLearner] if library() else [ReferenceLearner]
SPEC = ModelSpec.mlp([4, 6, 3], hidden="relu", output="softmax")
MSE = ModelSpec.mlp([4, 6, 3], hidden="tanh")
every_learner = pytest.mark.parametrize("kind", LEARNERS)


def snapshot(learner: Any) -> bytes:
    """Every bit that learning may change."""
    state = learner.state()
    return bytes(state["parameters"].tobytes() + state["statistics"].tobytes()) + bytes(
        str(state["count"]), "ascii"
    )


@every_learner
@settings(deadline=None)
@given(specs(), st.booleans())
def test_inference_does_not_change_state(kind: Any, spec: ModelSpec, standardise: bool) -> None:
    learner = kind(model(spec), standardise=standardise)
    x, targets = samples(spec, 6)
    learner.learn_many(x, targets, rate=0.01)
    before = snapshot(learner)
    first = learner.predict_many(x)
    learner.loss_one(x[0], targets[0])
    assert snapshot(learner) == before
    assert learner.predict_many(x).tobytes() == first.tobytes()
    assert learner.predict_one(x[2]).tobytes() == first[2].tobytes()


@every_learner
@settings(deadline=None)
@given(specs(), st.booleans())
def test_learn_many_is_a_loop_of_learn_one(kind: Any, spec: ModelSpec, standardise: bool) -> None:
    many, one = (kind(model(spec), standardise=standardise) for _ in range(2))
    x, targets = samples(spec, 8)
    losses = many.learn_many(x, targets, rate=0.02)
    loop = [one.learn_one(row, target, rate=0.02) for row, target in zip(x, targets, strict=True)]
    assert losses.tolist() == loop
    assert snapshot(many) == snapshot(one)


@every_learner
@settings(deadline=None)
@given(specs())
def test_the_loss_of_a_step_is_the_one_before_it(kind: Any, spec: ModelSpec) -> None:
    learner = kind(model(spec))
    x, targets = samples(spec, 1)
    before = learner.loss_one(x[0], targets[0])
    assert learner.learn_one(x[0], targets[0], rate=0.1) == before


@every_learner
@settings(deadline=None)
@given(specs(), st.booleans())
def test_a_state_goes_on_where_it_was_taken(kind: Any, spec: ModelSpec, standardise: bool) -> None:
    x, targets = samples(spec, 10)
    whole, first, second = (kind(model(spec), standardise=standardise) for _ in range(3))
    whole.learn_many(x, targets, rate=0.02)
    first.learn_many(x[:5], targets[:5], rate=0.02)
    second.load_state(first.state())
    second.learn_many(x[5:], targets[5:], rate=0.02)
    assert snapshot(second) == snapshot(whole)


@every_learner
@pytest.mark.parametrize("spec", [SPEC, MSE])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_not_finite_leaves_no_trace(
    kind: Any, spec: ModelSpec, bad: float
) -> None:
    learner = kind(model(spec), standardise=True)
    x, targets = samples(spec, 4)
    learner.learn_many(x, targets, rate=0.01)
    before, broken = snapshot(learner), x[0].copy()
    broken[1] = bad
    target = np.full(learner.sizes.target, bad)
    for call in (
        lambda: learner.learn_one(broken, targets[0], rate=0.01),
        lambda: learner.learn_one(x[0], target, rate=0.01),
        lambda: learner.learn_one(x[0], targets[0], rate=bad),
        lambda: learner.predict_one(broken),
        lambda: setattr(learner, "parameters", np.full(learner.sizes.parameters, bad)),
    ):
        with pytest.raises(NonFinite):
            call()
    assert snapshot(learner) == before


@every_learner
def test_learn_many_stops_at_the_first_bad_sample(kind: Any) -> None:
    learner, loop = kind(model(SPEC)), kind(model(SPEC))
    x, targets = samples(SPEC, 5)
    loop.learn_many(x[:3], targets[:3], rate=0.1)
    x[3, 0] = np.nan
    with pytest.raises(NonFinite):
        learner.learn_many(x, targets, rate=0.1)
    assert snapshot(learner) == snapshot(loop)


@every_learner
def test_a_loss_that_overflows_leaves_the_weights(kind: Any) -> None:
    learner = kind(model(MSE))
    before = snapshot(learner)
    with pytest.raises(NonFinite):
        learner.learn_one(np.ones(4), np.full(3, 3e38), rate=0.1)
    assert snapshot(learner) == before


@every_learner
def test_a_logit_that_is_not_a_number_leaves_the_weights(kind: Any) -> None:
    spec = ModelSpec.mlp([2, 2], output="softmax")
    learner = kind(model(spec))
    learner.parameters = np.array([1, 1, 3e38, -3e38, 0, 0])  # second logit: inf - inf
    before = snapshot(learner)
    with pytest.raises(NonFinite):
        learner.learn_one(np.full(2, 10), 0, rate=0.1)
    assert snapshot(learner) == before


@every_learner
def test_training_the_last_layers_leaves_the_others(kind: Any) -> None:
    learner = kind(model(SPEC), train_layers=1)
    x, targets = samples(SPEC, 5)
    assert learner.parameters.shape == (7 * 3,)
    assert learner.parameters.tobytes() == parameters(SPEC)[-21:].tobytes()
    learner.learn_many(x, targets, rate=0.1)
    mixed = kind(model(SPEC))
    mixed.parameters = np.concatenate([parameters(SPEC)[:-21], learner.parameters])
    assert mixed.predict_many(x).tobytes() == learner.predict_many(x).tobytes()


@every_learner
def test_learning_learns(kind: Any) -> None:
    learner = kind(model(SPEC), standardise=True)
    x, targets = samples(SPEC, 20)
    x[np.arange(20), targets] += 3
    first = learner.learn_many(x, targets, rate=0.1).mean()
    for _ in range(10):
        last = learner.learn_many(x, targets, rate=0.1).mean()
    assert last < first / 4
    assert (learner.predict_many(x).argmax(1) == targets).mean() >= 0.9


@every_learner
@pytest.mark.parametrize("target", [-1, 3, 0.5, 4e9])
def test_a_class_that_does_not_exist_is_refused(kind: Any, target: float) -> None:
    learner = kind(model(SPEC))
    before = snapshot(learner)
    with pytest.raises(UsageError):
        learner.learn_one(np.zeros(4), target, rate=0.1)
    assert snapshot(learner) == before


@every_learner
def test_wrong_shapes_are_refused(kind: Any) -> None:
    learner = kind(model(SPEC))
    for call in (
        lambda: learner.predict_one(np.zeros(5)),
        lambda: learner.predict_many(np.zeros((2, 5))),
        lambda: learner.learn_many(np.zeros((2, 4)), np.zeros(3), rate=0.1),
        lambda: setattr(learner, "parameters", np.zeros(2)),
        lambda: kind(model(SPEC), train_layers=3),
        lambda: kind(model(SPEC), train_layers=-1),
    ):
        with pytest.raises(UsageError):
            call()


@every_learner
def test_what_only_predicts_does_not_learn(kind: Any) -> None:
    x, targets = samples(SPEC, 30)
    int8 = tflite.write_int8(SPEC, parameters(SPEC), x, name="zoo")
    with pytest.raises(LearnerError):
        kind(int8)
    for file in (model(SPEC), int8):
        with pytest.raises(LearnerError):
            kind(file, infer_only=True).learn_one(x[0], targets[0], rate=0.1)
    with pytest.raises(TinyfleetError):
        kind(model(SPEC), infer_only=True).predict_int8(np.zeros(4, np.int8))


@every_learner
def test_memory_does_not_grow(kind: Any) -> None:
    learner = kind(model(SPEC), standardise=True)
    x, targets = samples(SPEC, 20)
    learner.learn_many(x, targets, rate=0.01)
    tracemalloc.start()
    try:
        learner.learn_many(x, targets, rate=0.01)
        learner.predict_many(x)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            learner.learn_many(x, targets, rate=0.01)
            learner.predict_many(x)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # Threads of other tests may allocate a little meanwhile; a leak of one array a step would
    # come to more than 200 kB.
    assert grown < 50_000
