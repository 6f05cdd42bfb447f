"""Records of the rates that a training really applied: in a file, TensorBoard, MLflow and Weights & Biases.

with record_rates(scheduler, to=["rates.csv", TensorBoardRecorder("logs"), MLflowRecorder()]):
    train()
"""

from client.records.applied_file import AppliedRatesFile
from client.records.mlflow import MLflowRecorder
from client.records.recorder import Recorder
from client.records.recording import Recording, record_rates
from client.records.tensorboard import TensorBoardRecorder
from client.records.wandb import WandbRecorder

__all__ = [
    "AppliedRatesFile",
    "MLflowRecorder",
    "Recorder",
    "Recording",
    "TensorBoardRecorder",
    "WandbRecorder",
    "record_rates",
]
