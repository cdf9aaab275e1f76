"""What only a GPU can show."""

from __future__ import annotations

import pytest
import torch

from videoproc.learning.world import World
from videoproc.models import build_model, model_config

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_a_model_gives_on_the_gpu_in_bf16_what_it_gives_on_the_cpu_in_fp32() -> None:
    config = model_config("cnn_gru", {})
    model = build_model("cnn_gru", config, num_outputs=5, frame_shape=(8, 32, 32, 3)).eval()
    frames = torch.randint(0, 256, (4, 8, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        expected = model(frames)
        device = World.current().device
        with torch.autocast(device.type, torch.bfloat16):
            found = model.to(device)(frames.to(device))
    assert device.type == "cuda"
    torch.testing.assert_close(found.float().cpu(), expected, atol=0.05, rtol=0.05)
