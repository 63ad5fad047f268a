"""Run ffmpeg, and add its command line and CPU seconds to a log: ``timed.py FFMPEG LOG ARGUMENT...``."""

import json
import os
import signal
import subprocess
import sys

ffmpeg, log, *arguments = sys.argv[1:]
child = subprocess.Popen([ffmpeg, *arguments])
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda number, _: child.send_signal(number))
_, status, usage = os.wait4(child.pid, 0)
entry = {"argv": arguments, "cpu_s": usage.ru_utime + usage.ru_stime}
file = os.open(log, os.O_WRONLY | os.O_APPEND)
os.write(file, (json.dumps(entry) + "\n").encode())
code = os.waitstatus_to_exitcode(status)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
