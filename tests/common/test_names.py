"""Unknown names are refused, and the nearest known one is named."""

import pytest

from jointens import InputError
from jointens.common.names import check_names


def test_the_first_unknown_name_is_told_with_the_nearest_known_one():
    check_names([], ["seeds"])
    check_names(["seeds", "gamma"], ["gamma", "seeds"])
    with pytest.raises(InputError, match=r"^unknown key 'sed'; the nearest known one is 'seeds'$"):
        check_names(["gamma", "sed", "gama"], ["gamma", "seeds"])
    with pytest.raises(InputError, match=r"^a\.yml: unknown key 3; the nearest known one is "):
        check_names([3], ["gamma", "seeds"], where="a.yml")
