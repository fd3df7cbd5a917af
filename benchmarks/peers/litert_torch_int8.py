"""Runs where litert-torch is installed: convert a net to int8 with its own quantiser.

Usage: litert_torch_int8.py NET.npz OUT.tflite. The .npz has `layers`, a JSON list, x [n, n_in] to
calibrate with, and w0, b0, w1, ... in the layouts of a `.tflite`.
"""

import json
import sys

import litert_torch
import numpy as np
import torch
from litert_torch.quantize import pt2e_quantizer, quant_config
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

ACTIVATIONS = {
    "relu": torch.relu,
    "softmax": lambda x: torch.softmax(x, -1),
    "linear": lambda x: x,
}


class Net(torch.nn.Module):
    """The same net in torch, its channels second inside."""

    def __init__(self, layers, stored):
        super().__init__()
        self.layers, self.weighted = layers, torch.nn.ModuleList()
        count = 0
        for layer in layers:
            if layer["kind"] == "pad":
                continue
            w, b = stored[f"w{count}"], stored[f"b{count}"]
            count += 1
            if layer["kind"] == "conv":
                out, high, wide, into = w.shape
                made = torch.nn.Conv2d(into, out, (high, wide), tuple(layer["stride"]))
                w = np.ascontiguousarray(w.transpose(0, 3, 1, 2))
            else:
                made = torch.nn.Linear(w.shape[1], w.shape[0])
            made.weight.data, made.bias.data = torch.tensor(w), torch.tensor(b)
            self.weighted.append(made)

    def forward(self, x):
        weighted = iter(self.weighted)
        for layer in self.layers:
            if layer["kind"] == "pad":
                top, bottom, left, right = layer["pads"]
                x = torch.nn.functional.pad(x, (left, right, top, bottom))
                continue
            if layer["kind"] == "dense" and x.dim() > 2:
                x = x.permute(0, 2, 3, 1).flatten(1)
            x = ACTIVATIONS[layer["activation"]](next(weighted)(x))
        return x


def main():
    """Quantise statically, weights by channel, and convert."""
    stored = np.load(sys.argv[1])
    layers = json.loads(str(stored["layers"]))
    net, x = Net(layers, stored).eval(), torch.tensor(stored["x"])
    if layers[0]["kind"] != "dense":
        net = litert_torch.to_channel_last_io(net, args=[0]).eval()
        x = x.reshape(-1, *layers[0]["in_shape"])
    static = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True, is_dynamic=False)
    quantiser = pt2e_quantizer.PT2EQuantizer().set_global(static)
    prepared = prepare_pt2e(torch.export.export(net, (x[:1],)).module(), quantiser)
    for row in x:
        prepared(row[None])
    converted = convert_pt2e(prepared, fold_quantize=False)
    how = quant_config.QuantConfig(pt2e_quantizer=quantiser)
    litert_torch.convert(converted, (x[:1],), quant_config=how).export(sys.argv[2])


if __name__ == "__main__":
    main()
