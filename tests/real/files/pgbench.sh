. $FILES/postgres.sh
# Promised to the server's buffers, and not all of them touched yet; natively there is no pool.
[ $HUGE = off ] || grep -q 'HugePages_Rsvd: *[1-9]' /proc/meminfo || echo no large pages
psql -Atc 'create table t(n int)' -c 'insert into t select generate_series(1, 1000)' -c 'select sum(n) from t'
pgbench -i -q -s 1 2>&1 | tail -n 1 | cut -c 1-7
pgbench -n -c 2 -t 50 2>&1 | grep -e processed -e failed
psql -Atc checkpoint -c 'select count(*) from pgbench_history'
# A backend dies: the server ends the others, and recovers.
psql -Atc 'select pg_backend_pid()' -c 'select pg_sleep(60)' >backend 2>lost &
for i in $(seq 100); do [ -s backend ] && break; sleep 0.1; done
kill -9 $(cat backend); wait $!
grep -c 'server closed the connection' lost
for i in $(seq 100); do psql -Atc 'select count(*) from pgbench_history' 2>/dev/null && break; sleep 0.2; done
kill -INT $server; wait $server; echo server $?
