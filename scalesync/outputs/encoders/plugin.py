"""What an encoder of another package may import. Everything else in this program may change with any release."""

from scalesync.errors import ConfigError
from scalesync.outputs.encoders.registry import API, Encoder, Output, OutputFormat

__all__ = ["API", "ConfigError", "Encoder", "Output", "OutputFormat"]
