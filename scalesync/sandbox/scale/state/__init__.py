"""What the emulator of Scale holds in memory."""
