"""DeepSpeed ZeRO: the launch file names the stage, the run's settings complete it; weights made whole again.

    OMP_NUM_THREADS=1 DS_ACCELERATOR=cpu accelerate launch --config_file configs/launch/zero2.yaml \
        train/teacher.py ...

ZeRO (Rajbhandari et al. 2020) divides optimiser states (stage 1), gradients (2) and parameters (3) among the
processes. What accelerate or DeepSpeed would ignore without a word is refused here.
"""

import importlib.util
import math
import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor, nn

from shards.errors import BadSettings, GateFailed

NEEDED = ("deepspeed", "transformers", "ninja")  # accelerate asks for transformers without saying so


def asked() -> bool:
    """Whether the launcher was told to use DeepSpeed."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() in ("true", "1", "yes")


def handlers() -> list[Any]:
    """What an Accelerator for DeepSpeed must be given; refuses what would turn DeepSpeed off unseen."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise BadSettings(f"DeepSpeed needs {', '.join(missing)}: pip install 'ocr-distillery[deepspeed]'")
    if os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("true", "1", "yes"):
        raise BadSettings("ACCELERATE_USE_CPU switches DeepSpeed off; set DS_ACCELERATOR=cpu instead")
    warnings.filterwarnings("ignore", message=".*torch.distributed.*is deprecated", category=FutureWarning)
    if torch.cuda.is_available():
        return []
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    return [InitProcessGroupKwargs(backend="gloo")]


def complete(
    accelerator: Accelerator, micro_batch: int, accumulation: int, clip: float, precision: str
) -> None:
    """Writes the run's settings into DeepSpeed's configuration; other values in the launch file are refused.

    micro_batch: samples of a process in one forward pass; clip: largest gradient norm, 0 = none.
    """
    if accelerator.distributed_type.value != "DEEPSPEED":
        raise BadSettings(f"DeepSpeed was asked for, accelerate opened {accelerator.distributed_type.value}")
    if precision == "fp16":
        raise BadSettings("fit.precision=fp16 with DeepSpeed was never run; take fp32 or bf16")
    plugin: Any = accelerator.state.deepspeed_plugin
    chosen: dict[str, Any] = plugin.deepspeed_config
    if chosen.get("zero_optimization", {}).get("stage") == 0:
        raise BadSettings("zero_stage 0 divides nothing, it is DDP: launch without the file of DeepSpeed")
    ours = {
        "train_micro_batch_size_per_gpu": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "gradient_clipping": clip,
    }
    for name, value in ours.items():
        given = chosen.get(name, "auto")
        if given not in ("auto", value):
            raise BadSettings(f"the launch file's {name} is {given}, the run's is {value}; take it out there")
        chosen[name] = value
    for name in ("bf16", "fp16"):
        if chosen.get(name, {}).get("enabled") is True:
            raise BadSettings(f"the launch file enables {name}; take it out and set fit.precision={name}")
    chosen["torch_autocast"] = {"enabled": precision == "bf16", "dtype": "bfloat16"}
    chosen["zero_allow_untested_optimizer"] = True


def whole(model: nn.Module) -> AbstractContextManager[Any]:
    """Within it every rank has the whole weights, which stage 3 divides; all ranks enter together."""
    divided = [parameter for parameter in model.parameters() if hasattr(parameter, "ds_id")]
    if not divided:
        return nullcontext()
    import deepspeed

    return deepspeed.zero.GatheredParameters(divided)


class Sharded:
    """Backward and step by DeepSpeed's engine, which clips, steps and clears gradients in one go."""

    def __init__(self, accelerator: Accelerator, engine: Any) -> None:
        self.accelerator, self.engine = accelerator, engine

    def backward(self, loss: Tensor) -> None:
        """Adds gradients; DeepSpeed divides by the accumulation."""
        self.engine.set_gradient_accumulation_boundary(is_boundary=self.accelerator.sync_gradients)
        self.engine.backward(loss)

    def move(self) -> float:
        """Clips and steps; the gradient norm, infinite where DeepSpeed has left the step out.

        Where it has used a gradient that is not finite, the run ends.
        """
        self.engine.step()
        if self.engine.optimizer.overflow:
            return math.inf
        norm = float(self.engine.get_global_grad_norm())
        if not math.isfinite(norm) or norm < 0:  # it writes -1 for what is not finite
            raise GateFailed(
                "DeepSpeed has used a gradient that was not finite; the last saved state is sound: begin "
                "another run from its weights (init_from=) with a lower optim.lr, or without DeepSpeed"
            )
        return norm
