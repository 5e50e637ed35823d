"""Says that it is ready and doesn't end when asked to."""

import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready")
while True:
    time.sleep(0.05)
