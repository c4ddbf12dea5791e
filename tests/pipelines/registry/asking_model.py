"""A process that asks registered models: it imports MLflow and pandas, nothing of this project."""

import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


def main(place: Path) -> None:
    """Answer the asks in the JSON file `place`, into a file beside it."""
    asks = json.loads(place.read_text())
    mlflow.set_tracking_uri(asks["uri"])
    answers: dict[str, Any] = {}
    for model, rows in asks["asks"].items():
        loaded = mlflow.pyfunc.load_model(f"models:/{model}@champion")
        table = loaded.predict(pd.DataFrame(rows))
        example = loaded.predict(loaded.input_example)
        answers[model] = {
            "rows": json.loads(json.dumps(table.to_dict(orient="records"), default=_plain)),
            "columns": list(table.columns),
            "example": len(example),
            "inputs": [one.name for one in loaded.metadata.get_input_schema()],
            "outputs": [one.name for one in loaded.metadata.get_output_schema()],
        }
    ours = {name: module for name, module in sys.modules.items() if name.startswith("pipelines")}
    answers["code"] = str(ours["pipelines"].__file__)
    answers["conf"] = "conf" in sys.modules
    Path(f"{place}.answer").write_text(json.dumps(answers))


def _plain(value: Any) -> Any:
    return value.tolist()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
