#!/bin/sh
# A worker in shell: pull_worker.sh INBOX. What it does not settle comes back by itself, to it or to
# another. Without mail for ten minutes, or when its inbox has ended, it shows what poll said and ends.
# A file name that JSON has to escape is beyond this sed: nobody can read it, and its message is dead.
field() { printf %s "$mail" | sed -e "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/" -e "s/.*\"$1\": *\([0-9]*\).*/\1/"; }

while mail=$(${POSTROOM:-postroom} poll "$1" --wait 600 --json); do
    if words=$(wc -w <"$(field file)"); then
        ${POSTROOM:-postroom} ack "$(field id)" --fence "$(field fence)" \
            --reply "{\"file\": \"$(field file)\", \"words\": $words}" >/dev/null
    else
        ${POSTROOM:-postroom} nack "$(field id)" --fence "$(field fence)" --dead --reason "cannot read it" >/dev/null
    fi
done
printf '%s\n' "$mail" >&2
