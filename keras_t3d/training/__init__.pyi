from .command_line import config_parser, parse_config, recipe_names
from .config import (
    CheckpointConfig,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
)
from .pretrain_config import ObjectiveConfig, PretrainConfig, TeacherConfig
from .pretraining import pretrain
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
    "Profile",
    "TeacherConfig",
    "TensorBoardLog",
    "TrainConfig",
    "TrainingProgress",
    "config_parser",
    "parse_config",
    "pretrain",
    "read_history",
    "recipe_names",
    "train",
]
