# The service with its models inside: docs/deploying.md. `make image-check` runs these steps, and the
# service they make, where no Docker engine runs.
FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-pip python3-venv
RUN python3 -m venv --without-pip /opt/emovox
WORKDIR /build
COPY requirements-serve.lock .
RUN pip --python /opt/emovox/bin/python install --no-cache-dir --require-hashes -r requirements-serve.lock
COPY pyproject.toml README.md LICENSE LICENSE-WEIGHTS LICENSE-APACHE NOTICE .
COPY packages/emovox/src packages/emovox/src
COPY src src
RUN pip --python /opt/emovox/bin/python install --no-cache-dir --no-deps .

FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends python3 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin emovox
COPY --from=build /opt/emovox /opt/emovox
ENV PATH=/opt/emovox/bin:/usr/local/bin:/usr/bin:/bin EMOVOX_HOST=0.0.0.0 PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["emovox"]
CMD ["serve"]
