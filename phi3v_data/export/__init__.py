"""The way back out: a dataset in the formats that other trainers and the hub read."""
