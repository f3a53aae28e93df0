"""The files that records are kept in: JSON lines beside an images folder, WebDataset shards, Parquet shards."""
