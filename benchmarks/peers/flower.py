"""Client updates a second of a Flower simulation, each K steps of per-sample SGD in NumPy.

Runs in an environment of its own: `pip install "flwr[simulation]"`; arguments: K, clients.
The first of two rounds starts Ray's actors, so that the faster one counts.
"""

import json
import logging
import sys
import time
import warnings
from itertools import pairwise

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import flwr as fl
import numpy as np
from flwr.client import ClientApp, NumPyClient
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.simulation import run_simulation

STEPS, CLIENTS = int(sys.argv[1]), int(sys.argv[2])
WIDTHS = (1, 40, 40, 1)
TIMES: list[float] = []


def learn(weights, x, y, rate=0.001):
    w = [a.copy() for a in weights]
    for xi, yi in zip(x, y, strict=True):
        a = [xi]
        for k in range(0, 6, 2):
            z = a[-1] @ w[k] + w[k + 1]
            a.append(np.maximum(z, 0) if k < 4 else z)
        d = 2 * (a[-1] - yi)
        for k in (4, 2, 0):
            back = d @ w[k].T * (a[k // 2] > 0)
            w[k] -= rate * a[k // 2].T @ d
            w[k + 1] -= rate * d[0]
            d = back
    return w


class Client(NumPyClient):
    def fit(self, parameters, config):
        rng = np.random.default_rng()
        x = rng.uniform(-5, 5, (STEPS, 1, 1)).astype("f")
        y = rng.uniform(0.1, 5) * np.sin(x)
        return learn(parameters, x, y.astype("f")), STEPS, {}


class Timed(FedAvg):
    def configure_fit(self, *a, **k):
        self.began = time.perf_counter()
        return super().configure_fit(*a, **k)

    def aggregate_fit(self, *a, **k):
        result = super().aggregate_fit(*a, **k)
        TIMES.append(time.perf_counter() - self.began)
        return result


def server(context):
    rng = np.random.default_rng(0)
    first = []
    for n_in, n_out in pairwise(WIDTHS):
        first += [rng.normal(0, 0.1, (n_in, n_out)).astype("f"), np.zeros(n_out, "f")]
    strategy = Timed(
        fraction_fit=1.0,
        fraction_evaluate=0.0,
        min_fit_clients=CLIENTS,
        min_available_clients=CLIENTS,
        initial_parameters=fl.common.ndarrays_to_parameters(first),
    )
    return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=2))


run_simulation(
    server_app=ServerApp(server_fn=server),
    client_app=ClientApp(client_fn=lambda context: Client().to_client()),
    num_supernodes=CLIENTS,
    backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
)
print(json.dumps({"updates_per_second": CLIENTS / min(TIMES)}))
