FROM python:3.13.14-slim-bookworm AS base

FROM base AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY incidentd incidentd
COPY workers workers
# pip stays outside: what runs needs no installer.
RUN python -m venv --without-pip /opt/incidentd && \
    python -m pip --python /opt/incidentd/bin/python install \
        --no-cache-dir --disable-pip-version-check --constraint constraints.txt .

FROM base
LABEL org.opencontainers.image.title="incidentd" \
      org.opencontainers.image.description="Classifies SLO breaches, pages the right person, and climbs until somebody answers." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/incidentd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    INCIDENTD_RULES=/etc/incidentd/rules \
    INCIDENTD_LISTEN=0.0.0.0:8080
# A folder of its own, so that a volume mounted there belongs to the user too.
RUN python -m pip uninstall --yes --root-user-action ignore pip && \
    groupadd --gid 10001 incidentd && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/incidentd --shell /usr/sbin/nologin incidentd && \
    install --directory --owner 10001 --group 10001 /var/lib/incidentd
COPY --from=build /opt/incidentd /opt/incidentd
COPY rules /etc/incidentd/rules
USER 10001:10001
WORKDIR /var/lib/incidentd
EXPOSE 8080 9108
STOPSIGNAL SIGTERM
ENTRYPOINT ["incidentd"]
