"""Training learns four clips by heart, goes on where it stopped, leaves frozen weights; judging writes."""

import logging
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from datamodules.batches import ClipBatch
from lightning_modules.caption_options import CaptionOptions
from lightning_modules.captioner import Captioner
from lightning_modules.captioning import CaptioningModule
from lightning_modules.clip_sentences import clip_sentences
from lightning_modules.decoders.search.sentences import Sentences
from lightning_modules.optimization import EpochMeans
from lightning_modules.options import OptimizerOptions
from lightning_modules.pace import Pace
from tests.lightning_modules.small_clips import CAPTIONS, SIZE, VOCABULARY, clips, options, spell

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated:FutureWarning"),  # Lightning asks torch so
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
]
REFERENCES = {"train": CAPTIONS, "validation": CAPTIONS, "test": CAPTIONS}


class SeededSteps(pl.Callback):
    """The draws of a step follow from its number."""

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        torch.manual_seed(trainer.global_step)


def module(
    task: dict[str, Any] | None = None, optimizer: dict[str, Any] | None = None, **model: Any
) -> CaptioningModule:
    torch.manual_seed(0)
    return CaptioningModule(
        Captioner(options(**model), VOCABULARY, SIZE),
        CaptionOptions.model_validate({"kind": "caption", "decoding": {"max_words": 6}, **(task or {})}),
        OptimizerOptions.model_validate({"learning_rate": 1e-2, "warmup": 0.0, **(optimizer or {})}),
        spell,
        REFERENCES,
    )


def loader(*batches: ClipBatch) -> DataLoader[Any]:
    return DataLoader(list(batches), batch_size=None)  # type: ignore[arg-type]


def trainer(steps: int) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        max_steps=steps,
        callbacks=[Pace(max_steps=steps), EpochMeans(), SeededSteps()],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        val_check_interval=steps,
        gradient_clip_val=1.0,
    )


def learn(what: CaptioningModule, steps: int, ckpt: Path | None = None) -> pl.Trainer:
    run = trainer(steps)
    batch, judged = clips(), clips(judging=True)
    run.fit(what, loader(batch), loader(judged), ckpt_path=ckpt, weights_only=True)
    return run


def test_four_clips_are_learnt_by_heart_and_judged_by_their_sentences() -> None:
    what = module(encoder={"gather": "flatten"})
    run = learn(what, 100)
    assert run.callback_metrics["validation/cider"] > 6
    assert run.callback_metrics["train/loss"] < 1.6
    assert what.validated_at == run.global_step == 100
    assert (what.monitor, what.mode) == ("validation/cider", "max")
    run.test(what, loader(clips(judging=True)), verbose=False)
    assert list(what.test_sentences) == [0, 1, 2, 3]
    for number, found in what.test_sentences.items():
        assert spell(found.tokens[0]) in CAPTIONS[number]
        assert len(set(map(tuple, found.tokens))) == len(found.tokens) == 5
        assert found.log_probability == sorted(found.log_probability, reverse=True)
        assert found.attention is not None
        assert found.attention.shape == (len(found.tokens[0]) + 1, [5, 4, 5, 3][number])
        assert found.attention.sum(1) == pytest.approx(1, abs=1e-5)


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    sampling = {"start": 0.5, "end": 0.5}
    settings: dict[str, Any] = {
        "task": {"scheduled_sampling": sampling},
        "optimizer": {"schedule": "constant"},
        "decoder": {"dropout": 0.3},
    }
    whole, first, second = (module(**settings) for _ in range(3))
    learn(whole, 4)
    learn(first, 2).save_checkpoint(tmp_path / "last.ckpt")
    learn(second, 4, tmp_path / "last.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


@pytest.mark.filterwarnings("ignore:Found .* in eval mode at the start of training")  # as it should be
@pytest.mark.parametrize("objective", ["cross_entropy", "self_critical"])
def test_a_frozen_encoder_and_its_statistics_stay(objective: str) -> None:
    encoder = {"kind": "torchvision", "backbone": "mobilenet_v3_small", "frozen": True, "cells": 1}
    what = module({"objective": objective}, encoder=encoder)
    assert what.model.encoder is not None
    before = what.model.encoder.digest()
    others = {name: p.clone() for name, p in what.named_parameters() if not name.startswith("model.encoder")}
    learn(what, 2)
    assert what.model.encoder.digest() == before
    assert all(not torch.equal(what.get_parameter(name), value) for name, value in others.items())
    optimizer = what.configure_optimizers()
    held = sum(len(group["params"]) for group in optimizer.param_groups)
    assert held == len(others)


def test_self_critical_training_raises_the_reward() -> None:
    what = module({"label_smoothing": 0.0}, {"schedule": "constant"}, encoder={"gather": "flatten"})
    learn(what, 12)
    what.task = what.task.model_copy(update={"objective": "self_critical", "reward_samples": 16})
    first = learn(what, 1).callback_metrics
    last = learn(what, 150).callback_metrics
    assert last["train/reward"] > first["train/reward"] + 1
    assert last["train/baseline"] > first["train/baseline"] + 1
    assert last["validation/cider"] > first["validation/cider"] + 1


def test_clips_count_once_and_the_missing_are_told(caplog: pytest.LogCaptureFixture) -> None:
    what = module()
    run = trainer(1)
    judged = clips(judging=True)
    first = ClipBatch(*(part[:2] for part in judged))
    with caplog.at_level(logging.WARNING):
        (once,) = run.validate(what, loader(judged), verbose=False)
        (twice,) = run.validate(what, loader(judged, first), verbose=False)
    assert twice == once
    assert once.keys() == {"validation/cider", "validation/mean_words"}
    assert "missing" not in caplog.text
    with caplog.at_level(logging.WARNING):
        run.validate(what, loader(first), verbose=False)
    assert "2 of 4 clips; the first that is missing is number 2" in caplog.text


def test_equal_sentences_and_empty_places_are_left_out() -> None:
    tokens = torch.tensor([[[4, 5, 2], [4, 5, 2], [2, 0, 0], [0, 0, 0]]])
    log_p = torch.tensor([[-1.0, -1.0, -2.0, -torch.inf]])
    attention = torch.full((1, 4, 3, 2, 3), 1 / 6)
    batch = clips()._replace(
        mask=torch.tensor([[True, False]]), times=torch.tensor([[0.5, 0.0]]), clip=torch.tensor([7])
    )
    found = clip_sentences(Sentences(tokens, log_p, log_p / 2, attention), batch)
    assert found[7].times.tolist() == [0.5]
    assert found[7].tokens == [[4, 5], []]
    assert found[7].log_probability == [-1.0, -2.0]
    assert found[7].score == [-0.5, -1.0]
    assert found[7].attention is not None
    assert found[7].attention.shape == (3, 1)
