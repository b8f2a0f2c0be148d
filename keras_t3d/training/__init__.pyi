from .clips import training_clips, training_reader, validation_clips
from .command_line import config_parser, parse_config, recipe_names
from .config import CheckpointConfig, DataConfig, LossConfig, ModelConfig, TrainConfig
from .devices import find_devices
from .network import network_for, new_network, new_student, student_for
from .objective import new_loss, new_metrics, new_optimizer
from .optimizer_config import OptimizerConfig
from .pretrain_config import ObjectiveConfig, PretrainConfig, TeacherConfig
from .pretraining import new_teacher, new_transfer, pretrain
from .probe import ProbeReport, probe
from .probe_options import ProbeOptions
from .progress import TrainingProgress
from .run_directory import read_history
from .supervised import train
from .tensorboard_log import Profile, TensorBoardLog

__all__ = [
    "CheckpointConfig",
    "DataConfig",
    "LossConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PretrainConfig",
    "ProbeOptions",
    "ProbeReport",
    "Profile",
    "TeacherConfig",
    "TensorBoardLog",
    "TrainConfig",
    "TrainingProgress",
    "config_parser",
    "find_devices",
    "network_for",
    "new_loss",
    "new_metrics",
    "new_network",
    "new_optimizer",
    "new_student",
    "new_teacher",
    "new_transfer",
    "parse_config",
    "pretrain",
    "probe",
    "read_history",
    "recipe_names",
    "student_for",
    "train",
    "training_clips",
    "training_reader",
    "validation_clips",
]
