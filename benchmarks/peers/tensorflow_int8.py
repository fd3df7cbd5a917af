"""Runs where TensorFlow is installed: convert a net to int8 with its own converter.

Usage: tensorflow_int8.py NET.npz OUT.tflite. The .npz has `layers`, a JSON list, x [n, n_in] to
calibrate with, and w0, b0, w1, ... in the layouts of a `.tflite`.
"""

import json
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf


def build(layers, parts):
    """The same net in Keras, functional."""
    first = layers[0]["in_shape"]
    flat = layers[0]["kind"] == "dense"
    inputs = end = tf.keras.Input((int(np.prod(first)),) if flat else tuple(first))
    weighted = iter(parts)
    for layer in layers:
        if layer["kind"] == "pad":
            top, bottom, left, right = layer["pads"]
            end = tf.keras.layers.ZeroPadding2D(((top, bottom), (left, right)))(end)
        elif layer["kind"] == "conv":
            w, b = next(weighted)
            made = tf.keras.layers.Conv2D(
                len(b), layer["kernel"], layer["stride"], padding="valid",
                activation=layer["activation"],
            )  # fmt: skip
            end = made(end)
            made.set_weights([w.transpose(1, 2, 3, 0), b])
        else:
            w, b = next(weighted)
            if len(end.shape) > 2:
                end = tf.keras.layers.Flatten()(end)
            made = tf.keras.layers.Dense(len(b), activation=layer["activation"])
            end = made(end)
            made.set_weights([w.T, b])
    return tf.keras.Model(inputs, end)


def main():
    """Convert, with full int8 inside, in and out."""
    stored = np.load(sys.argv[1])
    layers = json.loads(str(stored["layers"]))
    count = sum(name.startswith("w") for name in stored.files)
    model = build(layers, [(stored[f"w{i}"], stored[f"b{i}"]) for i in range(count)])
    shape = model.input_shape[1:]
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [row.reshape(1, *shape).astype(np.float32)] for row in stored["x"]
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(sys.argv[2]).write_bytes(converter.convert())


if __name__ == "__main__":
    main()
