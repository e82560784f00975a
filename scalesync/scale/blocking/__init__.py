"""The methods of `Client`, written from those of `AsyncScaleClient`."""
