"""How Hypothesis draws examples, everywhere."""

import os

from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing about what a test states.
slow = [HealthCheck.too_slow]
settings.register_profile("project", deadline=None, derandomize="CI" in os.environ, suppress_health_check=slow)
settings.load_profile("project")
