"""RTPEngine's answers, as far as the real one would never give them."""

from __future__ import annotations

import pytest
from fakes import rtpengine as fake

from orchestrator import errors
from orchestrator.engines import rtpengine


def test_statistics_without_a_number_of_calls_are_a_refusal():
    """What is read from a reply is part of the question: it ends as our own error."""
    with fake.FakeRtpengine() as daemon:
        asking = rtpengine.Rtpengine("127.0.0.1", daemon.port)
        asking.ping()
        with pytest.raises(errors.EngineRefused, match="makes no sense") as caught:
            asking.sessions()
    assert caught.value.words == "statistics without sessionstotal"
