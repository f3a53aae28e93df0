"""Mend a dataset: a copy of it with every fault undone that can be undone without a loss, and the rest set apart."""
