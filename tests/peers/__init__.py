import pytest

# The story's assertions live outside test modules and should explain themselves all the same.
pytest.register_assert_rewrite("tests.peers.scenario")
