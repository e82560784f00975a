"""What an encoder of another package imports; of this program, all else may change from release to release."""

from scalesync.errors import ConfigError
from scalesync.outputs.encoders.registry import API, Encoder, Output, OutputFormat

__all__ = ["API", "ConfigError", "Encoder", "Output", "OutputFormat"]
