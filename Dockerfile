# The server: `docker build -t lrtables .`, then one of
#
#   docker run --network host -v lrtables:/data lrtables
#       for this machine alone: the server listens on 127.0.0.1:8000
#   docker run --rm -v lrtables:/data lrtables token create admin --scope admin
#   docker run -p 8000:8000 -v lrtables:/data lrtables serve --host 0.0.0.0
#       for others too, who need a token, and a proxy with TLS in front; deploy/ has one
#
# It listens on the loopback unless told otherwise: whether others may reach it is for the caller to say.

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir -c constraints.txt build hatchling
COPY client client
COPY lrtables lrtables
COPY scheduler scheduler
COPY service service
# The image runs what users install: the wheel, not the source tree. The server needs no torch, so none is in it.
RUN /opt/build/bin/python -m build --wheel --no-isolation --outdir /dist \
    && python -m venv /opt/lrtables \
    && for wheel in /dist/*.whl; do \
        /opt/lrtables/bin/pip install --no-cache-dir -c constraints.txt "${wheel}[service,plot,postgres,s3,otel]" || exit 1; \
    done

FROM python:3.11-slim
# A fixed number: a volume's files keep their owner when the image is built anew.
RUN useradd --uid 10001 --no-create-home --home-dir /data lrtables \
    && install --directory --owner=lrtables --group=lrtables /data
COPY --from=build /opt/lrtables /opt/lrtables
ENV PATH=/opt/lrtables/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    LRTABLES_DATA_DIR=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["lrtables"]
CMD ["serve"]
