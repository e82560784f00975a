"""HTTP for every platform: transports, networks, downloads."""
