# Whose time the page of vsyscalls shows in a guest whose clock is set apart; no such sysctl: 0.
revirt=$(cat /proc/sys/kernel/revirt_vsyscalls 2>/dev/null)
sh $FILES/uml/ext4.sh vsyscall.sh >shown
case ${revirt:-0} in 0) whose=host ;; *) whose=guest ;; esac
sed "s/page: $whose/page: as kernel.revirt_vsyscalls says/" shown
