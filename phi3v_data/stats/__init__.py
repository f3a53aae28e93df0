"""The command `stats`: the figures of a dataset, and the batches it makes, as text, JSON and a picture."""
