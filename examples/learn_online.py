"""Learn a sine wave online, one sample at a time, with the learner that the firmware runs."""

import numpy as np

from edge.learner import OnlineLearner
from edge.spec import ModelSpec
from server.export.tflite import write

spec = ModelSpec.mlp([1, 40, 40, 1])
learner = OnlineLearner(write(spec, spec.initial(seed=0), name="sine"))
rng = np.random.default_rng(0)
losses = []
for _ in range(20_000):
    x = rng.uniform(-3, 3, 1)
    losses.append(learner.learn_one(x, np.sin(x), rate=0.002))
first, last = np.mean(losses[:500]), np.mean(losses[-500:])
print(f"{learner.backend}: loss {first:.3f} at first, {last:.4f} now")
print(f"sin(1) = {np.sin(1.0):.3f}, learnt {learner.predict_one([1.0])[0]:.3f}")
