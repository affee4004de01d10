"""What is measured, against what, in one run. `python -m bench` prints the table and writes bench/results.md."""
