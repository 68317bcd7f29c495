# Rights changed and shown, by setpriv and capsh.
setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'id -u; id -g; grep CapEff /proc/self/status'
setpriv --no-new-privs grep NoNew /proc/self/status
setpriv --bounding-set -all --inh-caps -all grep Cap /proc/self/status
setpriv --reuid 1000 --clear-groups --inh-caps +net_raw --ambient-caps +net_raw \
    grep -E 'CapInh|CapPrm|CapEff|CapAmb' /proc/self/status
setpriv --pdeathsig TERM --securebits +noroot --dump | grep -E 'Secure|death'
setpriv --ambient-caps +net_raw true; echo $?
setpriv --reuid nobody_here true; echo $?
capsh --drop=all -- -c 'grep CapBnd /proc/self/status'
capsh --print | grep -E '^Ambient|^Securebits|secure-|^uid'
capsh --uid=1000 --caps=cap_net_raw+p --print; echo $?
capsh --keep=1 --uid=1000 --caps=cap_net_raw+eip --addamb=cap_net_raw -- -c \
    'grep -E "CapInh|CapPrm|CapEff|CapAmb" /proc/self/status'
capsh --secbits=0x2f --print | grep Securebits
capsh --has-p=cap_net_raw && echo has
capsh --has-p=cap_none; echo $?
d=$(mktemp -d)
mount -t tmpfs none $d && chmod 755 $d
cp /usr/bin/grep $d/grep
setcap cap_net_raw,cap_chown+ep $d/grep; getcap $d/grep | sed "s|$d||"
setpriv --reuid 1000 --regid 1000 --clear-groups $d/grep -E 'CapInh|CapPrm|CapEff|CapAmb' /proc/self/status
setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs $d/grep CapEff /proc/self/status
setcap -v cap_net_raw,cap_chown+ep $d/grep > $d/told; echo $?
setpriv --reuid 1000 --clear-groups setcap cap_chown+ep $d/grep 2> $d/told; echo $?
setcap -r $d/grep; getcap $d/grep; umount $d; rmdir $d
