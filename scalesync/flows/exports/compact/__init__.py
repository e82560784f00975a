"""The newest version of each task in a folder of increments, written into another folder."""
