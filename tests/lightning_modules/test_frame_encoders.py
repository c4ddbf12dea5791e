"""Frames in, the features of a few places out: frozen ones stay, padded ones are not read, weights fit."""

import time
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from lightning_modules.caption_options import FrameEncoderOptions
from lightning_modules.encoders.backbones import backbone_names, build_backbone
from lightning_modules.encoders.frames import FrameEncoder
from lightning_modules.encoders.weights import load_weights

SMALL = ["resnet18", "vgg11", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "regnet_y_400mf"]


def options(**more: object) -> FrameEncoderOptions:
    return FrameEncoderOptions.model_validate({"kind": "plain", "channels": 8, "cells": 2, **more})


def pictures(*shape: int, size: int = 32, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*shape, 3, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_features_stand_by_place(kind: str) -> None:
    encoder = FrameEncoder(options(kind=kind, cells=3), 32)
    features = encoder(pictures(2, 5))
    assert features.shape == (2, 5, encoder.cells, encoder.width) == (2, 5, 9, 8)
    whole = encoder.network(pictures(2, 5).flatten(0, 1) * encoder.scale + encoder.shift)
    torch.testing.assert_close(
        features.flatten(0, 1).transpose(1, 2).unflatten(2, (3, 3)), functional.adaptive_avg_pool2d(whole, 3)
    )


def test_colours_are_normalised_as_imagenet_was() -> None:
    encoder = FrameEncoder(options(), 32)
    frames = torch.tensor([124, 116, 104], dtype=torch.uint8).view(3, 1, 1).expand(3, 32, 32)
    assert (frames * encoder.scale + encoder.shift).abs().max() < 0.02


@pytest.mark.parametrize("name", [*SMALL, "densenet121"])
def test_backbones_give_maps_of_features_and_all_of_them_learn(name: str) -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(options(kind="torchvision", backbone=name, cells=1), 64)
    encoder(pictures(1, 2, size=64)).square().sum().backward()
    assert encoder.cells == 1
    assert not [n for n, parameter in encoder.named_parameters() if parameter.grad is None]


def test_the_features_of_a_backbone_are_those_before_its_head() -> None:
    from torchvision import models

    torch.manual_seed(0)
    whole = models.get_model("resnet18", weights=None).eval()
    torch.manual_seed(0)
    cut = build_backbone("resnet18").eval()
    frames = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(whole.fc(cut(frames).mean(dim=(2, 3))), whole(frames))


def test_an_unknown_backbone_is_refused_with_near_names() -> None:
    with pytest.raises(ValueError, match=r"backbone=resnet20.*resnet"):
        FrameEncoder(options(kind="torchvision", backbone="resnet20"), 64)
    with pytest.raises(ValueError, match="vit_b_16"):
        FrameEncoder(options(kind="torchvision", backbone="vit_b_16"), 64)
    assert {"resnet50", "densenet121", "wide_resnet50_2", "shufflenet_v2_x1_0"} <= set(backbone_names())


def test_frames_too_small_for_a_backbone_are_refused() -> None:
    with pytest.raises(ValueError, match=r"frames\.size=16 is too small .*vgg11"):
        FrameEncoder(options(kind="torchvision", backbone="vgg11"), 16)


def test_padded_frames_are_not_read() -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(options(kind="torchvision", backbone="mobilenet_v3_small"), 32)
    frames, mask = pictures(2, 3), torch.tensor([[True, True, False], [True, False, False]])
    other = frames.clone()
    other[~mask] = 255 - other[~mask]
    torch.manual_seed(1)
    first = encoder(frames, mask)
    statistics = {name: value.clone() for name, value in encoder.named_buffers()}
    assert (first[~mask] == 0).all()
    torch.manual_seed(1)
    torch.testing.assert_close(encoder(other, mask), first)
    encoder.eval()
    torch.testing.assert_close(encoder(frames, mask)[0, :2], encoder(frames[:1, :2])[0], rtol=1e-4, atol=1e-5)
    assert any(not torch.equal(value, statistics[name]) for name, value in encoder.named_buffers())


def test_a_frozen_encoder_stays_as_it_is() -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(options(kind="torchvision", backbone="resnet18", frozen=True), 32).train()
    before = encoder.digest()
    features = encoder(pictures(2, 3))
    assert encoder.digest() == before
    assert not features.requires_grad
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not any(module.training for module in encoder.modules())


def test_many_frames_go_through_in_parts_with_the_same_features() -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(options(frozen=True, cells=1), 16)
    frames = pictures(1, 300, size=16)
    torch.testing.assert_close(encoder(frames)[:, 290:], encoder(frames[:, 290:]))


@pytest.mark.parametrize("kind", ["plain", "residual"])
def test_random_features_tell_frames_apart(kind: str) -> None:
    torch.manual_seed(3)
    encoder = FrameEncoder(options(kind=kind, channels=32, cells=4, frozen=True), 64)
    frames = torch.zeros(1, 3, 3, 64, 64, dtype=torch.uint8)
    frames[0, 0, 0, 8:24, 8:24] = 255
    frames[0, 1, 0, 40:56, 40:56] = 255
    frames[0, 2, 2, 8:24, 8:24] = 255
    features = encoder(frames)[0].flatten(1)
    features = features - features.mean(0)
    assert functional.cosine_similarity(features[[0, 0, 1]], features[[1, 2, 2]]).max() < 0.5


def test_the_digest_follows_the_seed_and_the_weights() -> None:
    digests = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        digests.append(FrameEncoder(options(), 32).digest())
    assert digests[0] == digests[1] != digests[2]


def test_weights_come_from_a_file_of_torchvision_with_its_head(tmp_path: Path) -> None:
    from torchvision import models

    torch.manual_seed(0)
    published = models.get_model("densenet121", weights=None).state_dict()
    old = {
        name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): v for name, v in published.items()
    }
    torch.save(old, tmp_path / "densenet.pth")
    encoder = FrameEncoder(
        options(kind="torchvision", backbone="densenet121", weights=str(tmp_path / "densenet.pth")), 32
    )
    for name, value in encoder.network.state_dict().items():
        assert torch.equal(value, published[name]), name


def test_weights_come_from_the_checkpoint_of_a_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = FrameEncoder(options(), 32)
    state = {f"model.encoder.{name}": value for name, value in first.state_dict().items()}
    torch.save({"state_dict": {**state, "model.decoder.x": torch.zeros(1)}}, tmp_path / "best.ckpt")
    weights = str(tmp_path / "best.ckpt")
    assert FrameEncoder(options(weights=weights, frozen=True), 32).digest() == first.digest()
    assert FrameEncoder(options(weights=weights), 32, pretrained=False).digest() != first.digest()
    with pytest.raises(ValueError, match=r"6 of another shape \(stages.0.conv.weight \(8, 3, 3, 3\) for \(9"):
        FrameEncoder(options(weights=weights, channels=9), 32)
    with pytest.raises(ValueError, match=r"missing \(stem.*unexpected \(stages.0.conv.weight.*\.\.\.\)"):
        FrameEncoder(options(kind="residual", weights=weights), 32)


def test_files_that_are_no_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"model.decoder.x": torch.zeros(1)}}, tmp_path / "features.ckpt")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"x": Path("a")}, tmp_path / "code.pth")
    (tmp_path / "text.pth").write_text("no weights")
    for name, reason in (
        ("features.ckpt", "holds no encoder of frames"),
        ("list.pth", "neither a state dict"),
        ("code.pth", "loaded safely"),
        ("text.pth", "loaded safely"),
        ("none.pth", "no such file"),
    ):
        with pytest.raises(ValueError, match=reason):
            FrameEncoder(options(weights=str(tmp_path / name)), 32)
    with pytest.raises(ValueError, match=r"only torchvision.*model\.encoder\.kind=torchvision"):
        FrameEncoder(options(weights="default"), 32)


def test_without_a_network_default_weights_say_where_to_place_which_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = build_backbone("resnet18")
    begun = time.monotonic()
    with pytest.raises(
        ValueError, match=r"resnet18-f37072fd\.pth could not be fetched.*weights=FILE"
    ) as error:
        load_weights(network, "default", "resnet18")
    assert time.monotonic() - begun < 15
    assert str(tmp_path / "hub" / "checkpoints") in str(error.value)


def test_default_weights_that_lie_in_their_place_need_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision import models

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    place.parent.mkdir(parents=True)
    published = models.get_model("resnet18", weights=None).state_dict()
    torch.save(published, place)
    network = build_backbone("resnet18")
    load_weights(network, "default", "resnet18")
    assert torch.equal(network.state_dict()["conv1.weight"], published["conv1.weight"])
