# shellcheck shell=sh disable=SC1091
# Sourced by the image build's RUNs: the builder's own CA bundle and package index, where it has them, for this RUN alone.
if [ -s /run/secrets/ca ]; then
    export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca REQUESTS_CA_BUNDLE=/run/secrets/ca
fi
if [ -s /run/secrets/index ]; then
    . /run/secrets/index
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore UV_LINK_MODE=copy UV_NO_PROGRESS=1
