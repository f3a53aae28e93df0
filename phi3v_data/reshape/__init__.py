"""Datasets made of datasets: the same records in another format, divided anew, or put together."""
