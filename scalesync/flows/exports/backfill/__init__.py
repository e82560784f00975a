"""An export over a past period, window by window."""
