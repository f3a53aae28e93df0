"""Describing a dataset: what its files hold, and the manifest written anew after an edit."""
