# A cluster and its server on a socket in this directory; $HUGE is huge_pages.
export PATH=/usr/lib/postgresql/15/bin:$PATH LANG=C
initdb -D data -A trust -U me --no-locale -E UTF8 >log 2>&1; echo initdb $?
cat >>data/postgresql.conf <<END
huge_pages = $HUGE
shared_buffers = 32MB
listen_addresses = ''
unix_socket_directories = '$PWD'
END
export PGHOST=$PWD PGUSER=me PGDATABASE=postgres PGOPTIONS='--client-min-messages=error'
postgres -D data >server.log 2>&1 &
server=$!
until pg_isready -q; do kill -0 $server 2>/dev/null || break; sleep 0.2; done
