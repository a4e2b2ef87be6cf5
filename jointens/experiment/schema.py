"""Print the JSON schema of profiles, with which editors complete and check their keys.

    python -m jointens.experiment.schema > notebooks/profiles/schema.json

Each shipped profile names it in its first line. A test holds the file to the keys.
"""

from __future__ import annotations

import json

from .config import Experiment


def schema_text() -> str:
    """Write the schema as the file notebooks/profiles/schema.json holds it."""
    return json.dumps(Experiment.json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
