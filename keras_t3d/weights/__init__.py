"""Files of weights: PyTorch's checkpoints and safetensors, read as NumPy arrays."""
