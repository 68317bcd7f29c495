# Sandboxes by bubblewrap: another root, nothing shared, rights given up.
bwrap --ro-bind / / true; echo $?
bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 \
    --proc /proc --dev /dev --tmpfs /tmp --unshare-all --die-with-parent sh -c \
    'ls /; ls /dev; cat /proc/net/dev; echo $$; cat /proc/self/uid_map
    echo x > /usr/x; echo y > /tmp/y; cat /tmp/y; ls /root'; echo $?
bwrap --ro-bind / / --unshare-user --uid 1000 --gid 1000 sh -c 'id -u; id -g; cat /proc/self/uid_map'
bwrap --ro-bind / / --unshare-uts --hostname inside hostname
bwrap --ro-bind / / --unshare-pid --proc /proc sh -c 'echo $$; ls -d /proc/1'
bwrap --bind / / --dev-bind /dev /dev --chdir /usr pwd
bwrap --ro-bind / / --setenv A b --clearenv env
bwrap --ro-bind / / --dir /usr/a/b true; echo $?
bwrap --ro-bind / / --tmpfs /mnt --dir /mnt/d --file 3 /mnt/f --perms 0700 --dir /mnt/e sh -c \
    'ls -l /mnt | cut -c 1-10; cat /mnt/f' 3</etc/debian_version; echo $?
bwrap --ro-bind / / --unshare-net cat /proc/net/if_inet6 /proc/net/route
bwrap --ro-bind / / --cap-drop ALL grep CapEff /proc/self/status
bwrap --ro-bind / / --new-session --as-pid-1 --unshare-pid --proc /proc sh -c 'echo $$'
bwrap --ro-bind / / --disable-userns --unshare-user unshare -U true; echo $?
bwrap --bind /nowhere / true; echo $?
