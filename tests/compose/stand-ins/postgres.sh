# The part of the official image's entrypoint that docker-compose.yaml uses.
set -eu
cd /usr/lib/postgresql/*/bin
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    ./initdb --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 \
        --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE"
    echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
    ./pg_ctl -w -o '-c listen_addresses=' start
    ./createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    ./pg_ctl -w stop
fi
program=$1
shift
exec "./$program" -c 'listen_addresses=*' "$@"
