mkfifo p; (echo through > p) & cat p; wait
(cat p; echo end) & echo late > p; wait
(seq 1 20000 > p) & wc -l < p; wait
stat -c '%F %a' p
cp -a p q
stat -c %F q
find . -type p | sort
echo a | cat | cat | tr a b; (echo 1; echo 2 >&2) 2>&1 | sort; { echo x; cat; } < p &
echo y > p
wait
mkfifo p
rm p
cat p
