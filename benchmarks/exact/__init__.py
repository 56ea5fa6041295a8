"""The parts of benchmarks/exactness.py: what is drawn, the truths, Isolux and the other codes, the report."""
