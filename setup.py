"""Packaging: `pip install .` brings the library, its command and its scripts.

`training/` and `export/` lie at the top of the repository and are installed as
`keras_t3d.training` and `keras_t3d.export`, so that no generic top-level name
is claimed.
"""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(r'"(.+)"', (ROOT / "keras_t3d" / "version.py").read_text())

setup(
    name="keras-t3d",
    version=VERSION.group(1) if VERSION else "0",
    description="Video classification with 3D networks in Keras 3: train, serve, run on a phone",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=[
        *find_packages(include=["keras_t3d", "keras_t3d.*"]),
        "keras_t3d.training",
        "keras_t3d.export",
    ],
    package_dir={"keras_t3d.training": "training", "keras_t3d.export": "export"},
    package_data={
        "keras_t3d.training": ["recipes/*.yaml"],
        "keras_t3d.transfer": ["kinetics400.txt"],
        "keras_t3d": ["py.typed"],
    },
    install_requires=[
        "tensorflow>=2.16",
        "keras>=3.11",
        "numpy>=1.26",
        "ai-edge-litert>=2.1",
        "av>=14.1",
        "flatbuffers>=23.5.26",
        "google-crc32c>=1.5",
        "jsonargparse[signatures]>=4.35",
        "loky>=3.4",
        "matplotlib>=3.8",
        "pillow>=10",
        "protobuf>=4.25",
        "rich>=13",
        "scikit-learn>=1.4",
        "tensorboard>=2.16",
    ],
    extras_require={
        # tensorflow-io's last release loads with TensorFlow 2.16 only.
        "io": ["tensorflow-io==0.37.1", "tensorflow==2.16.*"],
        "beam": ["apache-beam>=2.60"],
        "serving": ["grpcio>=1.60"],
        "watch": ["opencv-python>=4.9"],
        "weights": ["safetensors>=0.4", "torch>=2.6"],
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "hypothesis>=6.100",
            "ruff==0.17.5",
            "mypy==2.4.1",
        ],
        # What the tests compare with: they skip what is absent.
        "backends": [
            "jax>=0.5",
            "safetensors>=0.4",
            "tensorflow-serving-api>=2.16",
            "torch==2.13.0",
        ],
        "benchmarks": [
            "onnx>=1.17",
            "onnxruntime>=1.20",
            "onnxscript>=0.3",
            "openvino>=2025.0",
            "scipy>=1.11",
        ],
    },
    entry_points={"console_scripts": ["keras-t3d=keras_t3d.cli:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
