"""The module of CONTRIBUTING.md, and a small experiment with what is in it."""

import re

from checkout import ROOT

from jointens import Experiment

# The blocks of CONTRIBUTING.md by the file that their first line names.
BLOCKS = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.DOTALL))
OWN = {"dataset": "import:my_module:blobs", "base_learner": "import:my_module:small_net"}
SMALL = {"num_learners": 2, "num_epochs": 2, "seeds": [0, 1], "beta_vals": [0, 1], "device": "cpu", "out": "runs"}
COUNTED = "CALLS = []\n\n\ndef counted(seed):\n    CALLS.append(seed)\n    return blobs(seed)\n"


def experiment(**keys):
    return Experiment(**{**OWN, **SMALL, **keys})
