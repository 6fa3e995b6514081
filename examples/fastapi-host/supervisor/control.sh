#!/bin/sh
# control.sh [VERB [NAME…]]: the verbs of foster; without one their list. `start` without a NAME starts foster itself in the background, `stop` ends it.
export PATH="$HOME/bin:$PATH" FOSTER_CONFIG="$HOME/supervisor/foster.toml"
[ "$#$1" != 1start ] || set -- run --detach --pid-file "$HOME/supervisor/run/pid" --log "$HOME/supervisor/logs/foster.log"
case "$#$1" in 0) exec foster help ;; 1stop) exec foster shutdown --wait ;; 1restart) exec foster restart all ;; *) exec foster "$@" ;; esac
