"""One module for each encoding of data files, and the table of them."""
