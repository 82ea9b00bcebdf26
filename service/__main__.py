"""``python -m holdfast.service`` is the command ``holdfast``."""

from holdfast.service.cli.main import main

main()
