sqlite3 db <<END
pragma journal_mode=wal;
create table t(a, b);
with recursive n(i) as (values(1) union all select i+1 from n where i<5000) insert into t select i, hex(i) from n;
create index x on t(b);
select count(*), sum(a) from t;
pragma mmap_size=1000000;
pragma integrity_check;
vacuum;
END
sqlite3 db 'select b from t where a=42'
ls
