# The terminals app (examples/terminals) with foster as its first process: three builders, one image.
#
#     docker build -t terminals .                     the app
#     docker build --target foster -t foster .        foster alone, for COPY --from=foster in your own image
#
# docs/dockerfile.md explains how to use foster in your own image.

FROM node:24-trixie-slim AS frontend
WORKDIR /frontend
COPY examples/terminals/frontend/package.json examples/terminals/frontend/package-lock.json ./
RUN npm ci
COPY examples/terminals/frontend .
RUN npm run build

FROM python:3.13-slim-trixie AS backend
COPY examples/terminals/backend/requirements.txt /requirements.txt
# At its final path: a virtual environment cannot be moved.
RUN python3 -m venv --without-pip /app/venv \
    && pip --python /app/venv/bin/python install --no-cache-dir --requirement /requirements.txt

FROM rust:1.95-slim-trixie AS builder
WORKDIR /src
# The dependencies, against empty sources: built again only when Cargo.lock changes.
COPY Cargo.toml Cargo.lock build.rs release.ld order.ld ./
COPY .cargo .cargo
COPY crates/foster-core/Cargo.toml crates/foster-core/
COPY crates/foster-lines/Cargo.toml crates/foster-lines/
RUN mkdir -p src tests crates/foster-core/src crates/foster-lines/src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs tests/main.rs crates/foster-core/src/lib.rs crates/foster-lines/src/lib.rs \
    && cargo build --release --locked
COPY crates crates
COPY src src
# The name of the target's folder is that of the machine, so no architecture is named here.
RUN find src crates -name '*.rs' -exec touch {} + \
    && cargo build --release --locked \
    && cp target/*/release/foster /foster

FROM scratch AS foster
COPY --from=builder /foster /foster

FROM python:3.13-slim-trixie
RUN apt-get update \
    && apt-get install --yes --no-install-recommends nginx-light procps less \
    && rm -rf /var/lib/apt/lists/* /var/log/nginx/* /etc/nginx/sites-enabled/default \
    && groupadd --gid 10001 app && useradd --uid 10001 --gid app --no-log-init --home-dir /app app \
    && install --directory --owner app --group root --mode 2770 /app/data
COPY --from=backend /app/venv /app/venv
COPY --from=frontend /frontend/dist /usr/share/nginx/html
COPY examples/terminals/nginx.conf /etc/nginx/nginx.conf
COPY examples/terminals/foster.toml /etc/foster/foster.toml
COPY examples/terminals/backend/app /app/backend/app
COPY --from=foster /foster /usr/local/bin/foster
ENV PATH=/app/venv/bin:$PATH FOSTER_SOCKET=/tmp/foster.sock
VOLUME /app/data
EXPOSE 80
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["foster", "health"]
CMD ["foster"]
