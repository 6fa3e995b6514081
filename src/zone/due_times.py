"""The due times of schedules, by an independent implementation. Each line of the input: zone, start, count, five fields."""

import sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

from cronsim import CronSim

for line in sys.stdin:
    zone, start, count, fields = line.rstrip("\n").split(" ", 3)
    begin = datetime.fromtimestamp(int(start), timezone.utc).astimezone(ZoneInfo(zone))
    due = CronSim(fields, begin)
    print(*(int(next(due).timestamp()) for _ in range(int(count))))
