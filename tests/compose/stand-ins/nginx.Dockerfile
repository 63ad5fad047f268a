# Stands in for nginx:1.28-bookworm where it cannot be pulled: Debian's nginx.
ARG BASE
FROM ${BASE}
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light curl && rm -rf /var/lib/apt/lists/*
