"""What every test stands on."""

import signal

# A suite started in the background has Ctrl-C ignored, and so would every process that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
