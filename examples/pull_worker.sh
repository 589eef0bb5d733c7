#!/bin/sh
# A worker in shell: pull_worker.sh INBOX. What it does not settle comes back by itself, to it or to
# another; when its inbox has ended, poll says so and the loop is over.
field() { printf %s "$mail" | sed "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/"; }

while mail=$(${POSTROOM:-postroom} poll "$1" --wait 600 --json 2>/dev/null); do
    if words=$(wc -w <"$(field file)"); then
        ${POSTROOM:-postroom} ack "$(field id)" --fence "$(field fence)" \
            --reply "{\"file\": \"$(field file)\", \"words\": $words}" >/dev/null
    else
        ${POSTROOM:-postroom} nack "$(field id)" --fence "$(field fence)" --dead --reason "cannot read it" >/dev/null
    fi
done
