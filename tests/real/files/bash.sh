. $FILES/shell.sh
a=(x y z); declare -A m=([k]=v); echo ${a[1]} ${m[k]}
diff <(echo 1) <(echo 2)
coproc cat; echo co >&${COPROC[1]}; read -u ${COPROC[0]} line; echo $line
[[ abc123 =~ ([0-9]+) ]] && echo ${BASH_REMATCH[1]}
