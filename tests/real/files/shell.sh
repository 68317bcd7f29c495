# What every shell does: pipes, a fifo, traps, jobs, here and there a file.
x=$(printf 'one\ntwo\nthree\n' | sort | tail -n 1); echo "$x"
i=0; while [ $i -lt 50 ]; do i=$((i + 1)); done; echo $i
mkfifo pipe; (echo through >pipe) & read line <pipe; wait; rm pipe; echo "$line"
trap 'echo trapped' USR1; kill -USR1 $$
(sleep 5 & echo $! >pid; wait) & sleep 0.1; kill $(cat pid); wait; echo gone
for f in a b c; do echo $f >$f; done; cat a b c | wc -c; ls
seq 200 | xargs -n 50 echo | awk '{ n += NF } END { print n }'
tar cf - a b c | gzip | gunzip | tar tf -
(exit 7); echo $?; false || echo or
