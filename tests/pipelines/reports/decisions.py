"""Decisions as a shot tells them, and a captioner's run directory, for pages that show them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipelines.captions.contact_sheet import Captioned
from pipelines.captions.films import write_films
from pipelines.retraining.gate import GateOptions, decide
from pipelines.retraining.paired import Cell, Paired
from pipelines.rundir import RunDir


def verdict(gain: float) -> dict[str, Any]:
    """What the gate says of a challenger that is better by about `gain` over 160 forecast times."""
    noise = np.random.default_rng(0)
    cells = tuple(
        Cell(name, lead, part)
        for part in ("all", "tropics")
        for name in ("air", "z")
        for lead in ("6h", "24h")
    )
    champion = noise.gamma(4, 1, (160, len(cells)))
    challenger = champion * ((1 - gain) * (1 + 0.05 * noise.normal(size=champion.shape))) ** 2
    times = tuple(f"2003-01-{1 + number // 4:02d}T{6 * (number % 4):02d}:00:00" for number in range(160))
    paired = Paired(times, cells, champion, challenger, "root_mean_square", 2, {"air": "K", "z": "m"})
    return decide(paired, GateOptions(), seed=0).as_plain()


def decision(**more: Any) -> dict[str, Any]:
    """A promotion, as `Decision.as_plain` gives it."""
    found = verdict(0.15)
    return {
        "job": "weather_daily",
        "shot": 12,
        "model": "weather",
        "outcome": "promoted",
        "reason": found["told"],
        "started": "2026-11-22T20:00:00+00:00",
        "ended": "2026-11-22T20:10:00+00:00",
        "now": "2026-11-22T20:00:00+00:00",
        "champion": 3,
        "challenger": 4,
        "former": 3,
        "runs": {"champion": "/runs/a", "challenger": "/runs/b"},
        "verdict": found,
        "look": {"kind": "maps", "count": 400, "new": 20, "summary": {"units": {"air": "K"}}, "problems": []},
        "drift": {"drifted": True, "note": "20 new steps", "rows": [drift_row()]},
        "trigger": {
            "start": True,
            "why": "20 new steps",
            "checks": [{"name": "age", "started": False, "told": "2 d"}],
        },
        "changed": [changed()],
        "retries": 0,
        **more,
    }


def drift_row() -> dict[str, Any]:
    return {"variable": "air", "psi": 0.31, "ks": 0.2, "ks_p": None, "drifted": True, "old": 0.0, "new": 0.4}


def changed() -> dict[str, Any]:
    return {
        "kind": "clips",
        "better": True,
        "picture": "changed_1.png",
        "case": "clip7",
        "quantity": "cider_d",
        "champion": 0.4,
        "challenger": 1.2,
        "said": {"champion": "a dog", "challenger": "a cat <script>alert(1)</script>"},
        "references": ["a cat sleeps"],
    }


def captioner_run(folder: Path, name: str, sentence: str) -> RunDir:
    """A run directory as judging a captioner leaves it, of three clips with film strips."""
    run = RunDir(folder / "clips" / name)
    for part in (run.plots, run.predictions, run.tracking):
        part.mkdir(parents=True)
    config = {
        "data": {"kind": "clips", "name": "clips"},
        "task": {"kind": "caption"},
        "model": {"kind": "captioner"},
    }
    run.config.write_text(yaml.safe_dump(config))
    run.metrics.write_text(json.dumps({"test/cider": 0.5, "test/clips": 3, "reference/constant/cider": 0.1}))
    frames = np.random.default_rng(1).integers(0, 255, (4, 32, 48, 3), dtype=np.uint8)
    captions = []
    for number in range(3):
        said = sentence if number else "the same"
        captions.append(
            {
                "clip": f"clip{number}",
                "caption": said,
                "references": ["people <i>said</i>", "so"],
                "n_best": [{"caption": said}, {"caption": "another"}],
                "attention": {
                    "words": ["a", "(end)"],
                    "frame_times": [0, 0.5, 1, None],
                    "weights": [[0.7, 0.1, 0.1, 0.1]] * 2,
                },
            }
        )
    (run.predictions / "test.json").write_text(json.dumps(captions))
    write_films(run, [Captioned(f"clip{number}", frames, np.arange(4.0), "") for number in range(3)])
    return run
