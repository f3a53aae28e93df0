"""`python -m phi3v_data`: the command `phi3v-data`."""

from phi3v_data.cli import main

main()
