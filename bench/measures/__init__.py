"""One measurement each, run as `python -m bench.measures.NAME …` inside an installation; the last line is its figures."""
