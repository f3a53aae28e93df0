"""Raw data in, a validated dataset out: the converter contract and the engine that runs it."""
