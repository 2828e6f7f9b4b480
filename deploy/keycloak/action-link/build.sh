#!/bin/sh
# Compiles the provider against the jars of the Keycloak that will run it:  build.sh KEYCLOAK_HOME JAR
# Needs javac and jar of Java 17 or later, in JAVA_HOME or in PATH, and nothing from the network.
set -eu
keycloak=$1
jar=$2
sources=$(dirname "$0")/src
java=${JAVA_HOME:-}/bin

tool() {
  if [ -x "$java/$1" ]; then echo "$java/$1"; else echo "$1"; fi
}

classes=$(mktemp -d)
trap 'rm -rf "$classes"' EXIT
# Keycloak's own jars refer to annotations that it does not ship.
"$(tool javac)" --release 17 -encoding UTF-8 -Werror -Xlint:all,-processing,-classfile \
  -classpath "$keycloak/lib/lib/main/*" -d "$classes" "$sources"/usher/actionlink/*.java
cp -R "$sources/META-INF" "$classes"
"$(tool jar)" --create --file "$jar" -C "$classes" .
