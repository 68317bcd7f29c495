# Namespaces that outlive who made them, and those of another process, by nsenter of util-linux.
d=$(mktemp -d)
touch $d/uts $d/net $d/ipc
unshare --uts=$d/uts hostname inside
test $(hostname) = inside || echo outside
nsenter --uts=$d/uts hostname
unshare --net=$d/net true
nsenter --net=$d/net cat /proc/net/if_inet6
nsenter --net=$d/net ip link set lo up
nsenter --net=$d/net cat /proc/net/if_inet6 /proc/net/route
nsenter --net=$d/net ip -br addr
unshare --ipc=$d/ipc ipcmk -M 100 > $d/made
nsenter --ipc=$d/ipc ipcs -m | wc -l
nsenter --uts=$d/net true; echo $?
umount $d/uts $d/net $d/ipc
ls $d
rm -r $d
unshare -Urmpfn --kill-child --mount-proc sh -c \
    'mount -t tmpfs t /mnt; echo hidden > /mnt/f; exec sleep 60' &
maker=$!
while ! child=$(pgrep -x -P $maker sleep); do sleep 0.1; done
ls /mnt/f
nsenter -t $child -U --preserve-credentials -m -n -p sh -c \
    'cat /mnt/f; ls -d /proc/1; id -u; cat /proc/net/dev'
nsenter -t $child -a true; echo $?
nsenter -t $child -r -w -m pwd
kill -KILL $child
wait $maker; echo $?
