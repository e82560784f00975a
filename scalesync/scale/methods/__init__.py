"""The methods of `AsyncScaleClient`, one module for each noun, written from the table of endpoints."""
