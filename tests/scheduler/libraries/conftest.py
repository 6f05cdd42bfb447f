"""Keeps the real libraries that the twins are compared with off the network."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported, which is after this
