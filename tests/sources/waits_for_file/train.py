"""Says that it is ready, waits until the file named by its argument exists, then prints that it went on."""

import os
import sys
import time

print("ready")
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
print("went on")
