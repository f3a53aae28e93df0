"""Dialogues about pictures, for phi3v-data."""
