"""Meta-training of backbones in torch: features whose classes a device's own last layer learns."""
