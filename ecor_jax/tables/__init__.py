"""Tables of runs: rows of a file, each run with every seed, with means, ranges and paired bootstrap intervals."""
