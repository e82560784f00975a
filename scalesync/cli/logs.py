"""-v: scalesync's own log on standard error, with the key masked."""

from __future__ import annotations

import logging

from scalesync.cli.masking import Mask
from scalesync.cli.output import tell


class _MaskedHandler(logging.Handler):
    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def emit(self, record: logging.LogRecord) -> None:
        tell(self._mask(self.format(record)))


def log_to_stderr(verbosity: int, mask: Mask) -> None:
    """Show the log of the package: one -v from INFO up, two from DEBUG up."""
    handler = _MaskedHandler(mask)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("scalesync")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)
    logger.propagate = False


def mask_stray_logs(mask: Mask) -> None:
    """What libraries log as an error goes to standard error by itself; the key is masked there too."""
    handler = _MaskedHandler(mask)
    handler.setLevel(logging.WARNING)
    logging.lastResort = handler
