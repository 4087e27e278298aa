# The responder and the command line. Runs as any user ID on a read-only root file system; only /data is written to.
# Nothing at run time needs a shell, and nothing is downloaded then.

FROM python:3.11.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv --without-pip /opt/clopus
# Dependencies change less often than the code: a layer of their own, each file checked against its hash. The lock holds
# every extra, so this image can ask either kind of language model.
COPY requirements.lock ./
RUN pip --python /opt/clopus/bin/python install --require-hashes --only-binary=:all: -r requirements.lock
# The build backend is pinned with the development tools, none of which reach the second stage.
COPY requirements-dev.lock ./
RUN pip install --require-hashes --only-binary=:all: -r requirements-dev.lock
COPY pyproject.toml README.md LICENSE ./
COPY responder responder
COPY console console
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
    && pip --python /opt/clopus/bin/python install --no-deps --no-index /wheel/*.whl \
    && pip --python /opt/clopus/bin/python check

FROM python:3.11.14-slim-bookworm
COPY --from=build /opt/clopus /opt/clopus
COPY rules /etc/clopus/rules
# Group 0 may write, because some platforms run containers under a random user ID of that group.
RUN mkdir /data && chown 65532:0 /data && chmod 0770 /data
ENV PATH=/opt/clopus/bin:$PATH \
    HOME=/data \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CLOPUS_STORE__PATH=/data/clopus.duckdb \
    CLOPUS_RULES__PATHS=/etc/clopus/rules
WORKDIR /data
VOLUME /data
USER 65532:0
EXPOSE 8080
ENTRYPOINT ["clopus"]
CMD ["serve"]
