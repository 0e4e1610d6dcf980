"""What no setting of a service may do."""

from pathlib import Path

from sprat.base import settings as module
from sprat.base.settings import ServiceSettings

SOURCES = [path for folder in ("shared", "services") for path in (Path(__file__).parents[2] / folder).rglob("*.py")]


def test_no_setting_makes_a_service_kill_itself():
    assert "faults" not in ServiceSettings.model_fields
    assert not hasattr(module, "FaultSettings")
    assert SOURCES
    assert [path for path in SOURCES if "os.kill(os.getpid()" in path.read_text()] == []
