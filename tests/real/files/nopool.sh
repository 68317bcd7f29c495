HUGE=on
. $FILES/postgres.sh
wait $server; echo server $?
grep -o 'could not map.*' server.log
