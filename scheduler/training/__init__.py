"""The training command, `python -m scheduler`: a real run with a schedule of PyTorch's, or with its table."""
