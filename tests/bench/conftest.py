import os

from hypothesis import HealthCheck, settings

slow = [HealthCheck.too_slow]  # a busy machine is no fault of a strategy
settings.register_profile("bench", deadline=None, derandomize="CI" in os.environ, suppress_health_check=slow)
settings.load_profile("bench")
