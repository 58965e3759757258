"""Marks what runs under the sanitizers too: quick files that put odd input through the program."""

SANITIZED = {"test_checkpoints", "test_faults", "test_generate", "test_json"}


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitized: also run with the sanitizers' build (.ci/run)")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in SANITIZED:
            item.add_marker("sanitized")
