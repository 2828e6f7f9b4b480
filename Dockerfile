# One image with both binaries: api and worker of one release share a schema and are rolled out together.
#   docker build -t usher .
#   docker run usher usher-api serve
#   docker run --health-cmd "usher-worker healthcheck" usher usher-worker run

FROM rust:1.95-slim-bookworm AS build
# A compiler and cmake for aws-lc, the cryptography under rustls; the slim image brings gcc alone.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake g++ make \
 && rm -rf /var/lib/apt/lists/*
# Writes into each binary what it was built from, for whoever looks for weaknesses in the image later.
RUN cargo install --locked cargo-auditable@0.7.7
WORKDIR /src
COPY . .
# The queries are checked against .sqlx, so that no database is needed. Registry and target live in cache mounts: after
# a change only our own crates are compiled. A mount is not part of the image, hence the copy.
ENV SQLX_OFFLINE=true
# What GET /version tells: docker build --build-arg USHER_COMMIT="$(git rev-parse HEAD)"
ARG USHER_COMMIT
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo auditable build --release --locked --package api --package worker \
 && install -D --target-directory=/out target/release/usher-api target/release/usher-worker


FROM quay.io/keycloak/keycloak:26.7.3 AS keycloak-stock

# The provider of action links, compiled against the jars of the Keycloak that runs it: its image has no compiler.
FROM debian:bookworm-slim AS action-link
RUN apt-get update \
 && apt-get install --yes --no-install-recommends default-jdk-headless \
 && rm -rf /var/lib/apt/lists/*
COPY --from=keycloak-stock /opt/keycloak/lib/lib/main/ /keycloak/lib/lib/main/
COPY deploy/keycloak/action-link/ /action-link/
RUN sh /action-link/build.sh /keycloak /usher-action-link.jar

# Keycloak, augmented once at build time for PostgreSQL, so that it starts in seconds.
FROM keycloak-stock AS keycloak-build
COPY --from=action-link /usher-action-link.jar /opt/keycloak/providers/
# Whether its spans join ours is settled when it is built: --build-arg KC_TRACING_ENABLED=true
ARG KC_TRACING_ENABLED=false
ENV KC_DB=postgres KC_HEALTH_ENABLED=true KC_TRACING_ENABLED=${KC_TRACING_ENABLED}
RUN /opt/keycloak/bin/kc.sh build

FROM keycloak-stock AS keycloak
COPY --from=keycloak-build /opt/keycloak/ /opt/keycloak/
ENTRYPOINT ["/opt/keycloak/bin/kc.sh"]
CMD ["start", "--optimized"]


# Last, so that it is what a build without a target makes.
FROM debian:bookworm-slim AS usher
LABEL org.opencontainers.image.title="Usher" \
      org.opencontainers.image.description="Registers users in PostgreSQL and leads each of them safely into Keycloak" \
      org.opencontainers.image.licenses="MIT"
# Root certificates for a broker, database or Keycloak behind TLS. The user has no home, no shell and a fixed number,
# which Kubernetes asks for to believe that it is not root.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin usher \
 && install --directory --owner=usher --group=usher /var/log/usher
COPY --from=build /out/ /usr/local/bin/
ENV LOG_FORMAT=json LOG_DIR=/var/log/usher
USER 10001:10001
# 8080 is public; 8081 (api) and 8082 (worker) are for health checks and stay inside.
EXPOSE 8080 8081 8082
# Both drain on SIGTERM, which is Docker's default: the grace must be longer than their drain of 20 s.
CMD ["usher-api", "serve"]
# Of what runs by default; docker-compose.yml says the worker's own. Kubernetes asks by itself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["usher-api", "healthcheck"]
