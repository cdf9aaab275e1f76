"""A network that takes some frames of a clip, from training to what is applied."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch

from pipelines.evaluate import EvaluateConfig, evaluate
from pipelines.predict import PredictConfig, predict
from pipelines.train import train
from videoproc import runlog
from videoproc.learning import checkpoint
from videoproc.learning.config import SegmentConfig
from videoproc.learning.scored import from_table
from videoproc.tables import Dataset

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("ray_cluster")
def test_it_is_validated_evaluated_predicted_and_exported_as_it_answers(
    extracted: Path, workspace: Path, make_config
) -> None:
    loop = {"epochs": 1, "segments": SegmentConfig(count=2, answers=2), "average": 0.9}
    run = runlog.open_run(train(make_config(extracted, loop=loop)), workspace=workspace)
    model, card = checkpoint.load(run.checkpoint_folder(workspace), device=torch.device("cpu"))
    assert (tuple(card.frame_shape), card.taken_shape) == ((4, 16, 16, 3), (2, 16, 16, 3))

    frames = torch.randint(0, 256, (3, *card.frame_shape), dtype=torch.uint8)
    (logged,) = mlflow.MlflowClient(runlog.tracking_uri(workspace)).search_logged_models(
        [run.client.get_run(run.run_id).info.experiment_id],
        filter_string=f"source_run_id = '{run.run_id}'",
    )
    exported = mlflow.pytorch.load_model(logged.artifact_location)
    torch.testing.assert_close(exported(frames), model(frames).softmax(dim=1))

    evaluate(EvaluateConfig(data=str(extracted), run=run.run_id, split="test"))
    scored = from_table(run.read_table("test/scores.parquet"))
    predict(PredictConfig(data=str(extracted), run=run.run_id, inline=True, pictures=0))
    dataset = Dataset(folder=extracted)
    columns = ["clip_id", "probabilities"]
    (predictions,) = dataset.prediction_tables()
    told = {row["clip_id"]: row["probabilities"] for row in predictions.read(columns).to_pylist()}
    for about, probabilities in zip(scored.about, scored.scores["probabilities"], strict=True):
        np.testing.assert_allclose(told[about["clip_id"]], probabilities, atol=1e-5)
