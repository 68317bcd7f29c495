# A server with no port, its snapshot in a child, and what that has written.
redis-server --port 0 --unixsocket $PWD/sock --dir $PWD --save '' --logfile log --daemonize no &
redis() { redis-cli -s $PWD/sock "$@"; }
for i in $(seq 100); do redis ping >/dev/null 2>&1 && break; sleep 0.05; done
redis set key value; redis incrby n 41; redis incr n; redis rpush list a b c; redis lrange list 0 -1
redis eval 'for i=1,2000 do redis.call("set","k"..i,string.rep("x",100)) end return 1' 0
redis bgsave | cut -c 1-17
for i in $(seq 100); do redis info persistence | grep -q rdb_bgsave_in_progress:0 && break; sleep 0.05; done
redis info persistence | tr -d '\r' | grep rdb_last_bgsave_status
redis dbsize
redis shutdown nosave; wait
head -c 5 dump.rdb; echo
