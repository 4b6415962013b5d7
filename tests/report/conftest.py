"""One set of made-up inputs for all tests of the report."""

import pytest
from made_up import whole_report


@pytest.fixture(scope="session")
def inputs():
    return whole_report(n_segments=1500)
