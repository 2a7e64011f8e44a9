#!/bin/sh
# Any command as it is: a percentage that it prints moves the bar, its last line is the text.
set -eu

progress-ws run --sid "$1" --title Copy -- \
    sh -c 'for n in $(seq 0 10 100); do sleep 0.1; echo "copied $n %"; done' # the work
