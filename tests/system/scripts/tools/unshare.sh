# Namespaces of a program's own, by unshare of util-linux.
unshare -n cat /proc/net/dev /proc/net/if_inet6 /proc/net/route
unshare -Urn sh -c 'id -u; cat /proc/self/uid_map'
unshare -Ur --time --monotonic 86400 --boottime 172800 sh -c \
    'cat /proc/self/timens_offsets; expr $(cut -d. -f1 /proc/uptime) / 172800'
unshare -Urpf --mount-proc sh -c 'echo $$; ls -d /proc/1'
unshare -Urm sh -c 'mount -t tmpfs x /mnt && echo hi > /mnt/a && cat /mnt/a'; ls /mnt/a
unshare -Uru sh -c 'hostname other; hostname'
unshare -UrC tail -n 1 /proc/self/cgroup
unshare --user --map-auto id -u
unshare -fp sh -c 'exit 3'; echo $?
unshare -fp --kill-child sh -c 'echo $$'
unshare -Ur --wd /usr --root / pwd
unshare -UrS 0 -G 0 id -u; echo $?
unshare -Ur --setgroups deny cat /proc/self/setgroups; echo $?
unshare -Ur --propagation shared -m sh -c 'grep " / / " /proc/self/mountinfo | grep -c shared'
unshare -r --keep-caps grep CapAmb /proc/self/status | tr -d '01234567\t'
