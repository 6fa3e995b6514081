#!/bin/sh
# Every five minutes from cron: starts foster if it is gone, and prints what is not healthy, which cron mails. foster restarts the app.
cd "$HOME/supervisor" || exit
./control.sh status >/dev/null 2>&1 || [ $? != 4 ] || ./control.sh start
./control.sh health
