def pytest_configure(config):
    line = "sanitized: quick, and run with the sanitizers' build too (.ci/run)"
    config.addinivalue_line("markers", line)
