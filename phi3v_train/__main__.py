"""`python -m phi3v_train`: the command `phi3v-train`."""

from phi3v_train.cli import main

main()
