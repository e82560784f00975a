"""The packages of the program, who may import whom, and the picture of it."""
