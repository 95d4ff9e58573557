from __future__ import annotations

import subprocess
import sys

import pytest

import fleet.detector


def test_importing_the_package_and_its_configuration_leaves_torch_alone():
    code = (
        "import sys, fleet.detector, fleet.detector.config, fleet.detector.select;"
        "print(sorted({'torch', 'sklearn', 'cv2', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", fleet.detector.__all__)
def test_each_public_name_is_there_and_documented(name: str):
    thing = getattr(fleet.detector, name)
    assert thing.__doc__


def test_the_public_names_are_those_that_are_imported_when_used():
    assert sorted(fleet.detector.__all__) == sorted(fleet.detector._HOME_OF)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = fleet.detector.nonsense
