# syntax=docker/dockerfile:1

# The same Debian as below: a newer one would link a newer C library.
FROM rust:1.95-slim-bookworm AS builder
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package jangbu-app && cp target/release/jangbu /usr/local/bin/jangbu

FROM debian:12-slim
# A volume takes owner and mode of the folder that it covers. One that the image lacks is
# root's, and the program could not write there.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/jangbu --create-home jangbu \
    && install --directory --owner=10001 --mode=0700 /var/lib/jangbu/data
COPY --from=builder /usr/local/bin/jangbu /usr/local/bin/jangbu
USER jangbu
WORKDIR /var/lib/jangbu
# Inside a container only the container's own network reaches this address.
ENV JANGBU_LISTEN=0.0.0.0:8080 \
    JANGBU_DATA_DIR=/var/lib/jangbu/data \
    JANGBU_LOG_FORMAT=json
VOLUME /var/lib/jangbu/data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["jangbu", "health"]
ENTRYPOINT ["jangbu"]
CMD ["serve"]
