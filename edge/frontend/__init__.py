"""Sound to features in whole numbers, the same on host and board: log-mel bands."""

from edge.frontend.logmel import LogMel
from edge.frontend.native import NativeLogMel, front_end
from edge.frontend.tables import Tables, tables

__all__ = ["LogMel", "NativeLogMel", "Tables", "front_end", "tables"]
