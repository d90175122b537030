"""``python -m orchestrator.cli`` is ``sbcctl``."""

from orchestrator import cli

cli.main()
