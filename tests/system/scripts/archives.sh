mkdir -p s/t
echo 1 > s/a
echo 2 > s/t/b
ln -s ../a s/t/l
ln s/a s/h
chmod 640 s/t/b
tar cf x.tar s
tar tf x.tar | sort
mkdir out
tar xf x.tar -C out
diff -r s out/s && echo same
stat -c '%n %a %h %F' out/s/* out/s/t/*
gzip -c x.tar > x.gz
gunzip -c x.gz | cmp - x.tar
find s | cpio -o -H newc 2>/dev/null > x.cpio
mkdir in
cd in
cpio -i < ../x.cpio 2>/dev/null
cd ..
cat in/s/t/b
readlink in/s/t/l
rm -rf s out in
ls
