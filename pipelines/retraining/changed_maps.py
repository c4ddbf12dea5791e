"""The forecasts that changed most from champion to challenger, drawn: truth, both, and who is nearer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Normalize

from datamodules.gridded.clock import dates
from datamodules.gridded.store import Store
from pipelines.figures import INK, save
from pipelines.forecasts import map_plots
from pipelines.forecasts.data import packed
from pipelines.retraining.paired import Paired
from pipelines.retraining.paired_forecasts import WHOLE, Forecasting, forecast_pairs, judged_times
from pipelines.rundir import RunDir
from pipelines.settings import Settings

TITLES = ("truth", "champion", "challenger", "change of error")
"""Change of error: |challenger - truth| - |champion - truth|; below 0 (blue) the challenger is nearer."""
MOST_LEADS = 3


def changed_maps(
    champion: RunDir, challenger: RunDir, settings: Settings, folder: Path, paired: Paired
) -> list[dict[str, Any]]:
    """The case that became better most and the one that became worse most, a picture each in `folder`.

    Each is of the variable that changed most in it. Keys: kind, better, picture (file name), case, lead,
    quantity, units, champion and challenger (RMSE).
    """
    folder.mkdir(parents=True, exist_ok=True)
    store = packed(settings.maps, Path(settings.paths.stores))
    rivals = [Forecasting.load(run, store) for run in (champion, challenger)]
    horizon = min(one.horizon for one in rivals)
    issued = judged_times(store, settings, max(one.history for one in rivals), horizon)
    names = dates(store.time[issued], store.calendar)
    place_of = {name: place for place, name in enumerate(names)}
    found = []
    for better, case, column in extremes(paired):
        if paired.cases[case] not in place_of:
            continue
        cell = paired.cells[column]
        at = issued[[place_of[paired.cases[case]]]]
        (_, pair), *_ = forecast_pairs(rivals, store, at, 1, horizon)
        shown = [one.maps[0, :, store.names.index(cell.quantity)].numpy() for one in pair]
        picture = folder / f"changed_{'better' if better else 'worse'}.png"
        _draw(picture, store, cell.quantity, shown, int(at[0]), paired.cases[case])
        figures = {
            "champion": float(np.sqrt(paired.champion[case, column])),
            "challenger": float(np.sqrt(paired.challenger[case, column])),
        }
        found.append(
            {
                "kind": "maps",
                "better": better,
                "picture": picture.name,
                "case": paired.cases[case],
                "lead": cell.lead,
                "quantity": cell.quantity,
                "units": paired.units.get(cell.quantity, ""),
                **figures,
            }
        )
    return found


def extremes(paired: Paired) -> list[tuple[bool, int, int]]:
    """(better, case, cell) of the case that gained most and of the one that lost most, on the whole maps.

    Errors are told in shares of the champion's mean error of the cell, so that all variables count alike.
    """
    whole = [i for i, cell in enumerate(paired.cells) if cell.part == WHOLE]
    both = np.isfinite(paired.champion[:, whole]) & np.isfinite(paired.challenger[:, whole])
    size = np.where(both, paired.champion[:, whole], 0.0).sum(0) / np.maximum(both.sum(0), 1)
    change = np.where(both, paired.challenger[:, whole] - paired.champion[:, whole], 0.0)
    change = change / np.where(size > 0, size, 1.0)
    mean = change.mean(axis=1)
    found = []
    for better, case in ((True, int(mean.argmin())), (False, int(mean.argmax()))):
        if (mean[case] < 0) == better and mean[case] != 0:
            column = change[case].argmin() if better else change[case].argmax()
            found.append((better, case, whole[int(column)]))
    return found


def _draw(
    path: Path, store: Store, quantity: str, forecasts: Sequence[np.ndarray], issued: int, case: str
) -> Path:
    """A row a lead time (three at most, evenly chosen): truth, champion, challenger, change of error."""
    number = store.names.index(quantity)
    leads = np.unique(np.linspace(0, len(forecasts[0]) - 1, MOST_LEADS).round().astype(int))
    truth = np.stack([store.values[issued + 1 + lead, number] for lead in leads])
    champion, challenger = (one[leads] for one in forecasts)
    gained = np.abs(challenger - truth) - np.abs(champion - truth)
    figure, panels = map_plots.panels_of(store.grid, len(leads), len(TITLES))
    values, most = Normalize(*map_plots.value_range(truth)), map_plots.value_range(np.abs(gained), 0.0)[1]
    spread = Normalize(-most, most)
    for row, lead in enumerate(leads):
        fields = (truth[row], champion[row], challenger[row], gained[row])
        for column, (field, title) in enumerate(zip(fields, TITLES, strict=True)):
            last = column == len(TITLES) - 1
            map_plots.draw_map(
                panels[row, column],
                store.grid,
                field,
                spread if last else values,
                "RdBu_r" if last else "viridis",
            )
            if row == 0:
                panels[row, column].set_title(title, fontsize=11, color=INK)
        map_plots.name_row(panels[row, 0], f"+{store.step.lead_name(int(lead) + 1)}")
    channel = store.channels[number]
    map_plots.colour_bar(
        figure,
        panels[:, :-1],
        values,
        "viridis",
        map_plots.bar_label(channel),
        np.stack([truth, champion, challenger]),
    )
    map_plots.colour_bar(
        figure,
        panels[:, -1:],
        spread,
        "RdBu_r",
        map_plots.bar_label(channel, "change of error, below 0: better"),
        gained,
    )
    title = f"{quantity}   forecast from {case[:16].replace('T', ' ')}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    return save(figure, path)
