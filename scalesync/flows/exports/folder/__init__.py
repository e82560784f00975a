"""The folder of an export: its files and its manifest, as this run writes them and the next one finds them."""
