"""The due times of schedules, by an independent implementation.

Each line of the input: zone, start, how many (`25`) or until when (`<1767225600`), five fields. One line answers each."""

import sys
from datetime import datetime, timezone
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

for line in sys.stdin:
    zone, start, extent, fields = line.rstrip("\n").split(" ", 3)
    begin = datetime.fromtimestamp(int(start), timezone.utc).astimezone(ZoneInfo(zone))
    due = (int(at.timestamp()) for at in CronSim(fields, begin))
    if extent.startswith("<"):
        due = takewhile(lambda at: at < int(extent[1:]), due)
    else:
        due = islice(due, int(extent))
    print(*due, flush=True)
