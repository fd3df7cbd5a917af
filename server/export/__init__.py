"""Export: from parameters to `.tflite` and `.onnx` files, and the proof that they agree."""
