# DataGuardian: one image for operator, api, migrate and runner.
# PGDG=1 takes the PostgreSQL clients 14 to 18 from the PostgreSQL project's own packages; without it the image has
# every major that the base distribution offers. Servers older than 17 need a client older than 17: where the base has none,
# their runs are refused.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS dependencies
ARG UV_VERSION=0.13.9
ENV DEBIAN_FRONTEND=noninteractive
# uv trusts the certificate authorities that the base trusts; it compiles bytecode, because the root is read-only later.
ENV UV_SYSTEM_CERTS=1 UV_PYTHON=/usr/bin/python3 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/dataguardian
RUN apt-get update -q \
 && apt-get install -qy --no-install-recommends ca-certificates python3-venv \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /opt/uv \
 && /opt/uv/bin/pip install --no-cache-dir "uv==${UV_VERSION}"
WORKDIR /source
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-install-project

# What the program itself adds stands apart, so that a change of code changes one small layer of the image.
FROM dependencies AS program
COPY README.md LICENSE ./
COPY operator operator
RUN touch /before && /opt/uv/bin/uv sync --frozen --no-dev --no-editable \
 && mkdir /program && cd /opt/dataguardian && find . -type f -cnewer /before -exec cp -a --parents -t /program {} +

FROM ${BASE}
ARG PGDG=0
ENV DEBIAN_FRONTEND=noninteractive
# The clients' packages pull in Perl for wrappers that nothing here calls.
RUN apt-get update -q \
 && if [ "${PGDG}" = 1 ]; then \
      apt-get install -qy --no-install-recommends ca-certificates postgresql-common \
      && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y; \
    fi \
 && apt-get install -qy --no-install-recommends ca-certificates python3 \
      $(apt-cache search --names-only '^postgresql-client-1[4-8]$' | cut -d ' ' -f 1) \
 && dpkg --purge --force-depends $(dpkg-query -W -f '${Package}\n' \
      perl 'perl-modules-*' 'libperl*' 'libgdbm*' 'postgresql-client-common' 'postgresql-common*' 2>/dev/null) \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*.log /var/log/apt
COPY --from=dependencies /opt/dataguardian /opt/dataguardian
COPY --from=program /program /opt/dataguardian
ENV PATH=/opt/dataguardian/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LANG=C.UTF-8
USER 65532:65532
WORKDIR /
ENTRYPOINT ["dataguardian"]
