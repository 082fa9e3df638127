#!/bin/sh
# A small commons in Arborist: two programs with three projects, two roles, three users. Arborist answers at $ARBORIST.
# What is there already stays as it is.
set -eu

send() { # path, JSON
    status=$(curl -sS -o /tmp/answer -w '%{http_code}' -X "${method:-POST}" -H 'Content-Type: application/json' -d "$2" "$ARBORIST$1")
    case $status in
    2?? | 409) ;;
    *)
        echo "$1: $status" >&2
        cat /tmp/answer >&2
        exit 1
        ;;
    esac
}

for path in /programs/heart/projects/valves /programs/heart/projects/rhythm /programs/lung/projects/asthma /services/fhir/admin; do
    method=PUT send '/resource?p' "{\"path\":\"$path\"}"
done

send /role '{"id":"fhir_reader","permissions":[
    {"id":"read","action":{"service":"fhir","method":"read"}}]}'
send /role '{"id":"fhir_editor","permissions":[
    {"id":"all","action":{"service":"fhir","method":"*"}}]}'

send /policy '{"id":"heart_read","resource_paths":["/programs/heart"],"role_ids":["fhir_reader"]}'
send /policy '{"id":"asthma_edit","resource_paths":["/programs/lung/projects/asthma"],"role_ids":["fhir_editor"]}'
send /policy '{"id":"administer","resource_paths":["/services/fhir/admin","/programs"],"role_ids":["fhir_editor"]}'

# ann reads all of heart, ben works in asthma, ada administers
for grant in ann:heart_read ben:asthma_edit ada:administer; do
    send /user "{\"name\":\"${grant%%:*}\"}"
    send "/user/${grant%%:*}/policy" "{\"policy\":\"${grant##*:}\"}"
done
echo seeded
