"""Images and videos: decoding, sampling, encoding and checking; no other package imports a decoder."""
