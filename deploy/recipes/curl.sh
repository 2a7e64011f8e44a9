#!/bin/sh
# A job in any language that can speak HTTP, and that stops when a browser asks for it.
set -eu

sid=$1
run=$(date +%s)000-$$ # which try it is: a later one is greater

# say STATE CURRENT FINAL: returns once RabbitMQ has it; `dedupe` makes the retries harmless
say() {
    curl --silent --show-error --fail --retry 5 --oauth2-bearer "$PROGRESS_WS_PUBLISH_TOKEN" \
        --data @- "$PROGRESS_WS_URL/api/v1/messages" <<JSON
{"sid": "$sid", "key": "report", "run": "$run", "final": $3, "stall_s": 15, "dedupe": "$run-$2-$1",
 "message": {"kind": "progress", "state": "$1", "current": $2, "total": 20, "title": "Report",
             "cancellable": true}}
JSON
}

for page in $(seq 0 19); do
    case $(say running "$page" false) in
        *'"cancel":[]'*) ;;
        *) # a browser has asked to stop
            say cancelled "$page" true >/dev/null
            exit
            ;;
    esac
    sleep 0.1 # the work
done
say done 20 true >/dev/null
