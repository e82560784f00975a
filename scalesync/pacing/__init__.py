"""When a request may leave: limits, learned rates and widths, slots that processes share."""
