"""The scores of a captioner beside its references: a table, and `scores.csv`."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from pipelines.rundir import write_text

METRICS = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider", "cider_d")
MODEL = "skyreel"
NAMES = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr",
    "cider_d": "CIDEr-D",
    "distinct_words": "distinct words",
    "unseen_sentences": "unseen sentences",
    "mean_words": "words a sentence",
}


@dataclass(frozen=True)
class CaptionScores:
    """Figures of the model and of the references over the clips of one split.

    figures: who -> metric -> value; the model is "skyreel".     facts: share of sentences naming each fact.
    clips: how many were scored.     missing: how many were asked for but could not be read.
    """

    figures: Mapping[str, Mapping[str, float]]
    facts: Mapping[str, float]
    clips: int
    missing: int = 0
    split: str = "test"

    @property
    def metrics(self) -> dict[str, float]:
        """Flat names and figures, as metrics.json holds them."""
        found = {f"{self.split}/{name}": value for name, value in self.figures[MODEL].items()}
        found |= {f"{self.split}/facts/{name}": value for name, value in self.facts.items()}
        found |= {f"{self.split}/clips": self.clips, f"{self.split}/clips_missing": self.missing}
        for who, values in self.figures.items():
            if who != MODEL:
                found |= {f"reference/{who}/{name}": value for name, value in values.items()}
        return found

    def rows(self) -> list[tuple[str, str, float, int]]:
        """model, metric, value, clips; one row a figure."""
        found = [
            (who, metric, value, self.clips)
            for who, values in self.figures.items()
            for metric, value in values.items()
        ]
        return found + [(MODEL, f"facts/{name}", value, self.clips) for name, value in self.facts.items()]

    def show(self) -> None:
        """Print the table: a row a metric, a column a model, the best figure of the automatic ones bold."""
        console = Console()
        console.print(score_table(self, plain=not console.is_terminal), crop=False)
        if self.facts:
            named = ", ".join(f"{name} {share:.0%}" for name, share in self.facts.items())
            console.print(f"sentences that name it right: {named}", highlight=False)
        if self.missing:
            asked = self.clips + self.missing
            console.print(
                f"ONLY {self.clips} of the {asked} {self.split} clips were scored: {self.missing} could not "
                "be read (bad_clips.csv says why)",
                style="bold red",
                highlight=False,
            )


def score_table(scores: CaptionScores, *, plain: bool) -> Table:
    """The rich table of all figures."""
    view = Table(
        title=f"captions of {scores.clips} {scores.split} clips",
        title_justify="left",
        title_style="" if plain else "bold",
        box=None if plain else box.SIMPLE_HEAD,
        pad_edge=False,
    )
    view.add_column("")
    for who in scores.figures:
        view.add_column(who, justify="right", min_width=7)
    for metric in NAMES:
        values = [found.get(metric) for found in scores.figures.values()]
        if all(value is None for value in values):
            continue
        rivals = [values[i] for i, who in enumerate(scores.figures) if who != "human"]
        best = max((value for value in rivals if value is not None), default=None)
        cells = [_cell(metric, value, value is not None and value == best, plain) for value in values]
        view.add_row(NAMES[metric], *cells)
    return view


def _cell(metric: str, value: float | None, best: bool, plain: bool) -> str:
    """A figure; the best of the automatic captions is marked where more is better."""
    if value is None:
        return ""
    if metric not in METRICS:
        return f"{value:.0%}" if metric == "unseen_sentences" else f"{value:.3g}"
    text = f"{value:.3f}"
    return text if not best else f"*{text}" if plain else f"[bold]{text}[/bold]"


def write_scores(path: Path, scores: CaptionScores) -> None:
    """Publish `scores.csv`: model, metric, value, clips."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("model", "metric", "value", "clips"))
    writer.writerows((who, metric, repr(float(value)), clips) for who, metric, value, clips in scores.rows())
    write_text(path, text.getvalue())


def read_scores(metrics: Mapping[str, float], split: str = "test") -> CaptionScores:
    """The scores that a `metrics.json` holds."""
    figures: dict[str, dict[str, float]] = {MODEL: {}}
    facts: dict[str, float] = {}
    for key, value in metrics.items():
        group, _, name = key.partition("/")
        if group == split and name.startswith("facts/"):
            facts[name.removeprefix("facts/")] = value
        elif group == split and name not in ("clips", "clips_missing"):
            figures[MODEL][name] = value
        elif group == "reference":
            who, _, metric = name.partition("/")
            figures.setdefault(who, {})[metric] = value
    clips = int(metrics.get(f"{split}/clips", 0))
    return CaptionScores(figures, facts, clips, int(metrics.get(f"{split}/clips_missing", 0)), split)
