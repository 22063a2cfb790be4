# `dignity serve` in a container: an ordinary user, nothing writable needed.
#
#   docker build --tag dignity .
#   docker run --rm --read-only --cap-drop ALL --publish 127.0.0.1:8080:8080 dignity

FROM rust:1.95-slim-trixie AS build
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential pkg-config
WORKDIR /build
COPY Cargo.toml Cargo.lock README.md ./
COPY src src
COPY models models
COPY benches benches
COPY examples examples
COPY tests tests
RUN cargo build --locked --release --features full --bin dignity

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --shell /usr/sbin/nologin dignity
COPY --from=build /build/target/release/dignity /usr/local/bin/dignity
USER dignity
# Every address inside the container; what is published decides who reaches it.
ENV DIGNITY_HOST=0.0.0.0 DIGNITY_PORT=8080
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/health"]
ENTRYPOINT ["dignity", "serve"]
