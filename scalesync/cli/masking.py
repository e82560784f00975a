"""The mask over everything that the command line prints."""

from scalesync.masking import HIDDEN, Mask

__all__ = ["HIDDEN", "Mask"]
