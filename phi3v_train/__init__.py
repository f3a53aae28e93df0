"""The companion trainer. Importing this package imports nothing heavy."""
