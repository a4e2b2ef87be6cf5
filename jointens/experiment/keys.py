"""Declare the keys of an experiment: type, default, range and meaning of each.

A key belongs to the identity, which names the results folder, unless it is marked with `RUN`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from ..common import PRECISIONS, InputError, dump_yaml
from ..data import AUGMENTATIONS, DATASETS
from ..losses import AVERAGES, LOSSES
from ..models import LEARNERS
from ..training import EXECUTION_MODES, OPTIMISERS, SCHEDULERS
from .key_types import Column, FolderName, OwnFunction, Place, Positive, Scale, Table, TimmModel
from .record import canonical_beta
from .values import known_values, read_value

KEYS = ConfigDict(extra="forbid", strict=True)
RUN = {"identity": False}  # where and how it runs, or which cells: the numbers of a cell do not depend on it


class KeyDescription(NamedTuple):
    """A key of an experiment in words."""

    name: str
    default: str  # as in a profile
    meaning: str
    known: tuple[str, ...]  # the values that are allowed, if they are a list of names
    identity: bool  # a cell's numbers depend on it


@dataclass(frozen=True, kw_only=True, config=KEYS)
class Keys:
    """Every key of an experiment, each checked on its own. `Experiment` adds what follows from them."""

    # ---- the data
    dataset: Literal[tuple(DATASETS)] | Table | OwnFunction = Field(
        "digits", description="data set, a table of your own, or a function that is called with each seed and returns "
        "train, val and test, each (inputs, targets)"
    )  # fmt: skip
    target: Column | None = Field(None, description="column to predict, of csv:PATH")
    train_size: int | None = Field(None, ge=1, description="training examples; none: all of the training part")
    val_size: int | None = Field(None, ge=1, description="validation examples; none: all")
    test_size: int | None = Field(None, ge=1, description="test examples; none: all")
    label_noise: float = Field(0.0, ge=0, le=1, description="share of training and validation labels drawn anew")
    augmentation: Literal[AUGMENTATIONS] = Field(
        "protocol", description="what is done to training images: protocol, as the authors do; crop_flip, random crop "
        "and flip; none"
    )  # fmt: skip
    image_size: int | None = Field(
        None, ge=1, le=4096, description="height and width of images that stay in files, in pixels; none: 64 of "
        "toy-imagenet, of ImageNet 224, or 256 for MobileViT_IN",
    )  # fmt: skip
    measured_size: int | None = Field(
        None, ge=0, description="training examples whose losses are measured as those of validation; none: as many as "
        "it has",
    )  # fmt: skip
    measure_test: bool = Field(
        False, description="measure test data at each validation, too, and not only at the best and the last: for the "
        "course of training, which it has no part in",
    )  # fmt: skip

    # ---- the ensemble
    base_learner: Literal[tuple(LEARNERS)] | TimmModel | OwnFunction = Field(
        "MLP", description="architecture of every learner, or a function that is called with input_shape and "
        "num_outputs and returns a torch.nn.Module"
    )  # fmt: skip
    hidden: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = Field(
        (64, 64), description="widths of an MLP's hidden layers"
    )
    width: Scale = Field(1, gt=0, le=100, description="factor of all widths, of hidden layers and convolutions")
    stem_stride: int = Field(
        1, ge=1, le=4, description="stride of the first convolution of ResNet8, ResNet18 and ResNet34: 2 halves height "
        "and width of the images, for a quarter of the work",
    )  # fmt: skip
    num_learners: int = Field(5, ge=1, le=10_000, description="base learners in the ensemble, M")
    average: Literal[AVERAGES] = Field("scores", description="what the ensemble averages")
    loss: Literal[LOSSES] | None = Field(None, description="loss of learners and ensemble; none: the data set's")

    # ---- the grid
    beta_vals: tuple[Annotated[float, AfterValidator(canonical_beta)], ...] = Field(
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), description="β: 0 independent, 1 joint", json_schema_extra=RUN
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        tuple(range(10)), description="one paired run of every β for each seed", json_schema_extra=RUN
    )

    # ---- the objective
    kept_learners: int | None = Field(
        None, ge=1, description="learners whose average the ensemble loss of a training step is of, drawn anew for "
        "each step and run; none: all",
    )  # fmt: skip
    diversity_cap: float | None = Field(
        None, gt=0, description="diversity of an example above which more of it earns nothing, in nats or squared "
        "units of the scaled target; none: no cap",
    )  # fmt: skip
    warm_start: int = Field(0, ge=0, le=10**9, description="epochs at the start in which β is 0")

    # ---- training
    optimiser: Literal[OPTIMISERS] = Field("SGD", description="optimiser")
    learning_rate: float = Field(0.1, gt=0, description="learning rate at the start")
    momentum: float = Field(0.9, ge=0, le=1, description="momentum of SGD and RMSprop")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty added to the gradient")
    rate_per_learner: bool = Field(
        False,
        description="train M × the loss: each learner then has the rate and decay of a solo run, whatever M",
    )
    scheduler: Literal[SCHEDULERS] = Field(
        "ExponentialLR", description="how the learning rate falls at each switch: ExponentialLR, the authors' name, "
        "multiplies it by gamma; Linear takes off the share factor of the first rate",
    )  # fmt: skip
    gamma: float = Field(0.2, gt=0, le=1, description="factor of ExponentialLR at each switch")
    factor: float | None = Field(
        None, gt=0, le=1, description="share of Linear at each switch; none: 1 / (switches + 1), so that one switch "
        "more would end at zero",
    )  # fmt: skip
    lr_switch: tuple[Positive, ...] | Positive | None = Field(
        None, description="validations after which the rate falls; a single number, not a list: whenever a counter "
        "that is 1 at a new best is a multiple of it; none: 40, 65, 90 % of all, for Linear every one",
    )  # fmt: skip
    max_patience: int | None = Field(
        None, ge=1, description="validations in a row without a new best after which training stops; none: it never "
        "stops early",
    )  # fmt: skip
    validate_every: int | None = Field(
        None, ge=1, description="steps from validation to validation, counted anew in each epoch; none: after each "
        "epoch",
    )  # fmt: skip
    batch_size: int = Field(64, ge=1, le=10**9, description="examples per step; a smaller last batch is kept")
    num_epochs: int = Field(60, ge=1, le=10**9, description="passes over the training part")
    precision: Literal[PRECISIONS] = Field(
        "float32", description="of products and convolutions; losses, weights and optimiser are always float32"
    )

    # ---- where and how it runs: no part of the identity
    data_root: Place | None = Field(
        None, description="folder of CIFAR, SVHN, ImageNet or the regression sets' tabular/; none: $JOINTENS_DATA or "
        "data/ of the repository", json_schema_extra=RUN,
    )  # fmt: skip
    download: bool = Field(
        False, description="fetch what is missing of CIFAR, SVHN or a regression set", json_schema_extra=RUN
    )
    device: str = Field("auto", description="auto (cuda if there is one), cpu, cuda or cuda:N", json_schema_extra=RUN)
    stack: bool | None = Field(
        None,
        description="many runs as one tensor program; none: if it is known to be right, and faster",
        json_schema_extra=RUN,
    )
    jobs: Positive | None = Field(
        None, description="processes that train cells side by side, with one thread or one GPU each; 1: this process "
        "alone, with all threads; none: one for each core or GPU, where there are cells for them. With Slurm, tasks "
        "that run at once; none: all", json_schema_extra=RUN,
    )  # fmt: skip
    launcher: Literal["local", "slurm"] = Field(
        "local", description="who starts processes: local, this machine, or slurm, as a job array with a task for each "
        "cell or stack of cells", json_schema_extra=RUN,
    )  # fmt: skip
    slurm_partition: Annotated[str, Field(pattern=r"^[\w.,-]+$")] | None = Field(
        None, description="partition; none: Slurm's default", json_schema_extra=RUN
    )
    slurm_time: Positive | None = Field(
        None, description="minutes for a task, after which it is queued again and goes on; none: 240",
        json_schema_extra=RUN,
    )  # fmt: skip
    slurm_gpus: Positive | None = Field(None, description="GPUs of a task; none: no GPU", json_schema_extra=RUN)
    slurm_cpus: Positive | None = Field(
        None, description="cores of a task, for the processes that read images; none: 1", json_schema_extra=RUN
    )
    slurm_memory: Positive | None = Field(
        None, description="memory of a task in GB; none: Slurm's default", json_schema_extra=RUN
    )
    execution: Literal[tuple(EXECUTION_MODES)] | None = Field(
        None, description="how a training step is run; none: graph on a GPU, eager on a CPU", json_schema_extra=RUN
    )
    workers: int | None = Field(
        None, ge=0, le=1000, description="processes that read images from files; none: one for each core, at most 16, "
        "with a GPU, else 0: none", json_schema_extra=RUN,
    )  # fmt: skip
    decode: Literal["cpu", "gpu"] = Field(
        "cpu", description="where JPEG files are decoded and cropped: cpu (by workers) or gpu", json_schema_extra=RUN
    )
    skip_damaged: bool = Field(
        False, description="go on without images that cannot be read; otherwise the first one ends the run",
        json_schema_extra=RUN,
    )  # fmt: skip
    checkpoint_seconds: float | None = Field(
        None, ge=0, description="training goes on from checkpoints, written at validations so many seconds or more "
        "after the last one; none: 0 for images in files, else 60", json_schema_extra=RUN,
    )  # fmt: skip
    out: Place | None = Field(
        None, description="folder of all results; none: runs/ of the repository", json_schema_extra=RUN
    )
    tag: FolderName | None = Field(
        None, description="name of the results folder; none: made from the identity", json_schema_extra=RUN
    )
    store_outputs: bool = Field(
        True, description="keep the learners' test and validation outputs", json_schema_extra=RUN
    )
    save_weights: bool = Field(True, description="keep the weights of the best checkpoint", json_schema_extra=RUN)

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        return read_value(value, cls.__pydantic_fields__[info.field_name].annotation)

    @field_validator("beta_vals", "seeds")
    @classmethod
    def _distinct(cls, values: tuple, info: ValidationInfo) -> tuple:
        if not values or len(set(values)) < len(values):
            raise InputError(f"{info.field_name} is {list(values)}; allowed are one or more values, no two the same")
        return values

    # ---- the keys themselves

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """List all keys, in the order in which they are written."""
        return tuple(cls.__pydantic_fields__)

    @classmethod
    def run_keys(cls) -> tuple[str, ...]:
        """List the keys that a cell's numbers do not depend on: where and how it runs, and which cells there are."""
        return tuple(name for name, field in cls.__pydantic_fields__.items() if field.json_schema_extra == RUN)

    @classmethod
    def identity_keys(cls) -> tuple[str, ...]:
        """List the keys that a cell's numbers depend on."""
        return tuple(name for name in cls.names() if name not in cls.run_keys())

    @classmethod
    def described(cls) -> list[KeyDescription]:
        """Describe every key in words, for the help of the command line and for the book."""
        descriptions = []
        for name, field in cls.__pydantic_fields__.items():
            default = list(field.default) if isinstance(field.default, tuple) else field.default
            text = dump_yaml(default, flow=True).replace("null", "none")
            known = known_values(field.annotation)
            descriptions.append(KeyDescription(name, text, field.description, known, name in cls.identity_keys()))
        return descriptions

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Make the JSON schema of a profile, with which editors complete and check its keys."""
        properties = TypeAdapter(cls).json_schema()["properties"]
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "A profile: the keys of an experiment of jointens",
            "type": "object",
            "properties": {name: _as_written(schema) for name, schema in properties.items()},
            "additionalProperties": False,
        }


def _as_written(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Widen pydantic's schema of a key by what a profile may hold as well: `none`, and one value in place of a list."""
    about = {name: schema[name] for name in ("description", "default", "identity") if name in schema}
    kinds = schema.get("anyOf") or [{name: value for name, value in schema.items() if name not in {*about, "title"}}]
    kinds = kinds + [kind["items"] for kind in kinds if kind.get("type") == "array" and kind["items"] not in kinds]
    if {"type": "null"} in kinds:
        kinds = [*kinds, {"const": "none"}]
    return about | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
