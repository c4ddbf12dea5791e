"""score hypotheses=: anybody's captions against anybody's references. Starts no torch.

Java only for the tokenizer ptb and for METEOR.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from datamodules.errors import InputError
from datamodules.video.annotations.wording import counted, first_few
from lightning_modules.metrics.captions.diversity import distinct_words, mean_words
from lightning_modules.metrics.captions.human import human
from lightning_modules.metrics.captions.java import JavaError, require_java
from lightning_modules.metrics.captions.scores import References
from pipelines.captions.pairs import LISTED, Pairs, read_pairs
from pipelines.captions.tokenisers import tokenised, tokeniser
from pipelines.mistakes import CallError, Mistake, nearest
from pipelines.verbs import Call

if TYPE_CHECKING:
    from rich.console import RenderableType

log = logging.getLogger(__name__)

TOKENIZERS = {
    "ptb": "Penn Treebank's, as published figures are counted; needs Java",
    "words": "lower case, no punctuation",
    "plain": "white space",
}
DEFAULT = "ptb"
ROWS = {
    "bleu_1": ("BLEU-1", "0 to 1"),
    "bleu_2": ("BLEU-2", "0 to 1"),
    "bleu_3": ("BLEU-3", "0 to 1"),
    "bleu_4": ("BLEU-4", "0 to 1"),
    "meteor": ("METEOR", "0 to 1"),
    "rouge_l": ("ROUGE-L", "0 to 1"),
    "cider": ("CIDEr", "0 to 10, as pycocoevalcap's"),
    "cider_d": ("CIDEr-D", "0 to 10; what pycocoevalcap calls CIDEr"),
    "distinct_words": ("distinct words", "in all sentences"),
    "mean_words": ("words a sentence", "mean"),
}


def score_captions(call: Call) -> dict[str, Any]:
    """The verb: figures of the hypotheses, the human ceiling beside them, and every id that did not match.

    Keys: metrics (name -> value); clips; references (sentences in all); tokenizer; missing (ids that no
    hypothesis came for: scored as empty sentences); split (the only one judged, or null); human (name ->
    value, empty unless every clip has two references or more); warnings.
    Errors: InputError (exit 2) for files that cannot be read, hypotheses of unknown clips, an unknown
    tokenizer, and ptb without Java.
    """
    name = _tokenizer(call.tokenizer)
    pairs = read_pairs(call.hypotheses or "", call.references or "")
    hypotheses, references = _tokens(pairs, name)
    metrics: dict[str, float] = References(references).score(hypotheses)
    warnings = [*pairs.warnings, *_told(pairs)]
    try:
        metrics["meteor"] = _meteor(hypotheses, references)
    except JavaError as error:
        warnings.append(f"METEOR is left out: {error}")
    metrics |= {"distinct_words": distinct_words(hypotheses), "mean_words": mean_words(hypotheses)}
    result = {
        "metrics": {key: metrics[key] for key in ROWS if key in metrics},
        "clips": len(pairs.ids),
        "references": sum(map(len, references)),
        "tokenizer": name,
        "missing": list(pairs.missing),
        "split": pairs.split,
        "human": human(references).figures if min(map(len, references)) > 1 else {},
        "warnings": warnings,
    }
    for warning in warnings:
        log.warning(warning)
    if not call.json:
        from rich.console import Console

        Console().print(render(result))
    return result


def _tokenizer(name: str | None) -> str:
    """The tokenizer asked for. CallError where there is none of that name."""
    if name is None:
        return DEFAULT
    if name not in TOKENIZERS:
        allowed = "; ".join(f"{key} ({what})" for key, what in TOKENIZERS.items())
        raise CallError(
            [Mistake("tokenizer", f"It must be one of: {allowed}.", name, nearest(name, TOKENIZERS))]
        )
    return name


def _tokens(pairs: Pairs, name: str) -> tuple[list[str], list[list[str]]]:
    """Hypotheses and references as tokens, in one call of the tokenizer. InputError without its Java."""
    try:
        found = tokenised([pairs.hypotheses, *pairs.references], tokeniser(name))
    except JavaError as error:
        raise InputError(
            f"tokenizer={name}: {error}\n    Or score without Java: tokenizer=words ({TOKENIZERS['words']}) "
            f"or tokenizer=plain ({TOKENIZERS['plain']}); figures then differ a little from published ones"
        ) from None
    return found[0], found[1:]


def _meteor(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """METEOR of the corpus. JavaError where Java or pycocoevalcap is missing or fails."""
    from lightning_modules.metrics.captions.meteor import meteor

    require_java()
    log.info("METEOR: Java reads its paraphrases, some seconds")
    return meteor(hypotheses, references)


def _told(pairs: Pairs) -> list[str]:
    """What a reader of the figures must know of the clips."""
    told = []
    if pairs.split is not None:
        told.append(
            f"all hypotheses are of the split '{pairs.split}': judged are its {len(pairs.ids)} clips alone"
        )
    if pairs.missing:
        told.append(
            f"{len(pairs.missing)} OF {len(pairs.ids)} CLIPS HAVE NO HYPOTHESIS and count as empty ones; "
            f"that lowers every score: {first_few(pairs.missing, LISTED)}. If fewer clips were asked for, "
            "give references of these alone"
        )
    if len(pairs.ids) == 1:
        told.append(
            "there is one clip: CIDEr weighs words by how few clips have them, and is 0 for a single one"
        )
    if single := sum(len(captions) < 2 for captions in pairs.references):
        alone = counted(single, "clip has", "clips have")
        told.append(f"no human ceiling: {alone} a single reference, nothing to judge it by")
    return told


def render(result: Mapping[str, Any]) -> "RenderableType":
    """The figures as a table for a terminal (rich): a row a metric, people beside the hypotheses."""
    from rich.table import Table

    title = f"{result['clips']:,} clips, {result['references']:,} references, tokenizer {result['tokenizer']}"
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    table.add_column("metric")
    table.add_column("score", justify="right")
    if result["human"]:
        table.add_column("human", justify="right")
    table.add_column("range")
    for key, value in result["metrics"].items():
        label, unit = ROWS[key]
        figures = [_figure(key, value)]
        if result["human"]:
            figures.append(_figure(key, result["human"].get(key)))
        table.add_row(label, *figures, unit)
    if result["human"]:
        table.caption = "human: one person's caption against the others', up to 5 a clip in turn"
        table.caption_justify = "left"
    return table


def _figure(key: str, value: float | None) -> str:
    """A score in four decimals, words as they are counted; nothing where there is none."""
    if value is None:
        return ""
    if key == "distinct_words":
        return f"{value:,.0f}"
    return f"{value:.2f}" if key == "mean_words" else f"{value:.4f}"
