"""Shared by all tests: Hypothesis's profile. The fixtures are those of pkern's own plugin."""

from hypothesis import HealthCheck, settings

# Derandomised: a failure seen once is seen again, here and in CI.
settings.register_profile(
    "pkern",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("pkern")
