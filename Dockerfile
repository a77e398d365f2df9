# The study with all that it takes, as `make setup` installs it.
#
#   docker build -t resnet-study .
#   docker run --rm --gpus all resnet-study resnet-study run --device cuda
#
# Without a GPU, torch's build for the CPU saves some gigabytes:
#
#   docker build -t resnet-study --build-arg TORCH=https://download.pytorch.org/whl/cpu .
#   docker run --rm resnet-study make reproduce
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends chromium git make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /study
ARG TORCH=https://pypi.org/simple
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --index-url "$TORCH" \
        $(grep -E '^(torch|torchvision)==' constraints.txt)
COPY . .
RUN make setup
ENV PATH=/study/.venv/bin:$PATH
CMD ["make", "reproduce"]
