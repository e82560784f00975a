"""What an encoder of another package imports; everything else in this program may change in any release."""

from scalesync.errors import ConfigError
from scalesync.outputs.encoders.registry import API, Encoder, Output, OutputFormat

__all__ = ["API", "ConfigError", "Encoder", "Output", "OutputFormat"]
