"""
What every test starts from: no settings in the environment, and a service in this process for those that want one.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Generator
from contextlib import AsyncExitStack
from typing import Any

import hypothesis
import pytest

from tests.protocols.service import Serve, Service

pytest_plugins = ["tests.parallel", "tests.servers.fixtures", "tests.storage.places"]
pytest.register_assert_rewrite("tests.protocols.exchange", "tests.protocols.speakers")

# Examples are not kept between runs, so a failure says how to make its own again.  A busy machine is no failure: neither an
# example that takes long, nor one that takes long to be made.  Stores of a test see all of its examples.
hypothesis.settings.register_profile(
    "holdfast",
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile("holdfast")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the end-to-end tests be run with one way of receiving content; else it is on, and off as well where that matters."""
    parser.addoption("--handoff", choices=["on", "off"], help="HOLDFAST_HANDOFF of the end-to-end tests")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test that is skipped, wherever it decides that, fail: what it holds would go untested without a word."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"a test was skipped, or is expected to fail: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in [name for name in os.environ if name.upper().startswith("HOLDFAST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return what starts a service with settings, stores or a client address of the test's own."""
    async with AsyncExitStack() as stack:

        async def start(**given: Any) -> Service:  # noqa: ANN401 - as Service
            return await stack.enter_async_context(Service(**given))

        yield start


@pytest.fixture
async def service(serve: Serve) -> Service:
    """Return a service over memory stores, with the settings as they are by default."""
    return await serve()
