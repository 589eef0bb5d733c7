#!/bin/sh
# A worker in shell over HTTP: pull_worker_http.sh URL TOKEN_FILE INBOX. It counts the words of files, as
# pull_worker.sh does, and ends when no mail has come for a minute (WAIT), or when the gateway says no.
# It needs curl and jq. What it does not settle comes back by itself. Over a Unix socket there is no need
# of a token: begin with  call() { curl --unix-socket /path/to.sock ...  and URL http://localhost.
url=$1 inbox=$3 n=0
header=$(mktemp) && trap 'rm -f "$header"' EXIT && trap 'exit 143' INT TERM
printf 'Authorization: Bearer %s\n' "$(cat "$2")" >"$header" # mode 0600; everybody can see arguments

call() { # call VERB [CURL OPTION]...: the flags come as JSON from stdin, what is answered goes to stdout
    verb=$1 && shift
    curl -sS --fail-with-body --max-time 90 --retry 3 --retry-connrefused "$@" \
        -H "@$header" -H 'Content-Type: application/json' --data-binary @- "$url/v1/$verb"
}

while n=$((n + 1)) # a repeated request has the same key, so that it is given the same mail
    mail=$(jq -n --arg inbox "$inbox" --argjson wait "${WAIT:-60}" '{$inbox, $wait}' |
        call poll -H "Idempotency-Key: $(hostname)-$$-$n"); do
    lease=$(printf %s "$mail" | jq -ce '.messages[0] // empty | {id, fence}') || exit 0
    file=$(printf %s "$mail" | jq -r '.messages[0].body.file')
    if words=$(wc -w <"$file"); then
        printf %s "$lease" | jq -c --arg file "$file" --argjson words "$words" '. + {reply: {$file, $words}}' | call ack
    else
        printf %s "$lease" | jq -c '. + {dead: true, reason: "cannot read it"}' | call nack
    fi >/dev/null
done
printf '%s\n' "$mail" >&2
exit 1
