#!/bin/sh
# Gives Keycloak a database and a role of its own: neither service can read or lock the other's tables.
# The image runs this once, when its data directory is empty.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$KEYCLOAK_DB_PASSWORD" --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE keycloak LOGIN PASSWORD :'password';
CREATE DATABASE keycloak OWNER keycloak;
REVOKE CONNECT ON DATABASE keycloak FROM PUBLIC;
SQL
